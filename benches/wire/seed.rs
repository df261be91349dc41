use std::time::Duration;

use docstore::bson::oid::ObjectId;
use docstore::bson::{DateTime, Document, doc};
use docstore::{Database, Filter, Find, mongo, sqlite};

use crate::program::Location;

/// The number of stories in a store and their length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Size {
    /// Ten stories of 5 kB.
    Few,
    /// Fifty stories of 300 bytes with 2,000 reactions each, the first one with 200 comments.
    Discussed,
    /// A thousand stories of 300 bytes.
    Thousand,
    /// As many stories as a large site has, of 300 bytes.
    Million,
}

impl Size {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Few => "few",
            Self::Discussed => "discussed",
            Self::Thousand => "thousand",
            Self::Million => "million",
        }
    }

    fn content(self) -> usize {
        match self {
            Self::Few => 5000,
            Self::Discussed | Self::Thousand | Self::Million => 300,
        }
    }
}

const BATCH: u64 = 5000;
/// 1 January 2020, in milliseconds.
const FIRST: i64 = 1_577_836_800_000;
const WORDS: [&str; 24] = [
    "river", "still", "morning", "light", "notes", "field", "written", "while", "seen", "stone", "water",
    "tide", "north", "heron", "grass", "slowly", "under", "bridge", "weather", "turned", "before", "evening",
    "quiet", "and",
];

/// Inserts stories into a store that the program has created, in the form in which the program writes them.
pub(crate) async fn fill(location: &Location, size: Size, stories: u64) -> Result<(), String> {
    let db = open(location).await?;
    let outcome = insert(&db, size, stories).await.map_err(|error| format!("seeding: {error}"));
    db.close().await;
    outcome
}

async fn open(location: &Location) -> Result<Database, String> {
    let opened = match location {
        Location::Embedded(folder) => {
            // The program that had the file open may still be closing it.
            let mut tries = 0;
            loop {
                let options = sqlite::Options { path: folder.join("field-notes.db") };
                match sqlite::open(options).await {
                    Err(_) if tries < 50 => tries += 1,
                    outcome => break outcome,
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        Location::Mongo(uri, database) => {
            let (uri, database) = (uri.clone(), Some(database.clone()));
            mongo::connect(mongo::Options { uri, database, app_name: "bench".into() }).await
        }
    };
    opened.map_err(|error| format!("failed to open the store: {error}"))
}

async fn insert(db: &Database, size: Size, stories: u64) -> docstore::Result<()> {
    let of_stories = Find::new(Filter::eq("content_type", "story"));
    let section = db.collection("sections").find_one(of_stories).await?;
    let section = section.and_then(|section| section.get_object_id("_id").ok());
    let section = section.unwrap_or_default().to_hex();
    let user = ObjectId::new().to_hex();
    let collection = db.collection("stories");
    let mut at = 0;
    while at < stories {
        let next = stories.min(at + BATCH);
        let batch = (at..next).map(|n| story(n, size, &section, &user)).collect();
        collection.insert_many(batch).await?;
        at = next;
    }
    if size == Size::Discussed { discuss(db).await } else { Ok(()) }
}

/// Adds reactions and comments to the stories, as the original stores them.
async fn discuss(db: &Database) -> docstore::Result<()> {
    let stories = db.collection("stories").find(Find::new(Filter::All)).await?.documents().await?;
    let ids: Vec<_> = stories.iter().filter_map(|story| story.get_object_id("_id").ok()).collect();
    let at = DateTime::from_millis(FIRST);
    for id in &ids {
        let reaction = |n: u32| {
            let tag = if n.is_multiple_of(2) { "heart" } else { "thumbup" };
            doc! {
                "target_type": "story", "target_id": id.to_hex(), "user_id": format!("{n:024x}"),
                "user_name": "Reader", "reaction_tag": tag,
                "created_at": at,
            }
        };
        db.collection("reactions").insert_many((0..2000).map(reaction).collect()).await?;
    }
    let comment = |n: u64| {
        doc! {
            "target_type": "story", "target_id": ids.first().map(|id| id.to_hex()), "parent_id": null,
            "user_id": format!("{n:024x}"), "user_name": "Reader", "user_avatar": null,
            "content": html(n, 200), "mentions": [], "created_at": at, "updated_at": at, "deleted_at": null,
        }
    };
    db.collection("comments").insert_many((0..200).map(comment).collect()).await?;
    Ok(())
}

fn story(n: u64, size: Size, section: &str, user: &str) -> Document {
    let created = DateTime::from_millis(FIRST + i64::try_from(n).unwrap_or_default() * 1000);
    doc! {
        "_id": ObjectId::new(),
        "title": format!("Story {n}"),
        "content": html(n, size.content()),
        "is_published": true,
        "date": created,
        "user_id": user,
        "section_id": section,
        "slug": format!("story-{n}"),
        "createdDate": created,
        "updatedDate": created,
        "version": 1_i64,
    }
}

/// Returns paragraphs of words of about the given length; each seed gives another text.
pub(crate) fn html(seed: u64, bytes: usize) -> String {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut text = String::with_capacity(bytes + 16);
    let mut words = 0;
    text.push_str("<p>");
    while text.len() + 4 < bytes {
        // xorshift is enough to make the texts differ.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        words += 1;
        text.push_str(WORDS[usize::try_from(state % 24).unwrap_or_default()]);
        text.push_str(match words % 60 {
            0 => ".</p><p>",
            _ => " ",
        });
    }
    text.push_str("</p>");
    text
}
