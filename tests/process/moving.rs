//! Runs every command of `docs/moving.md` as it is written there, on a database and files as the original leaves them.

use std::fs;
use std::sync::Arc;

use docstore::{Filter, Update};
use testkit::Target;

use crate::guide::{self, Part};
use crate::program::{Program, open_store};
use crate::takeover;

/// A picture of the original, in its three widths.
const PICTURE: [&str; 3] = [
    "20250301_101500_0a1b2c3d.webp",
    "20250301_101500_0a1b2c3d_750.webp",
    "20250301_101500_0a1b2c3d_500.webp",
];

testkit::targets! {
    async fn commands_of_the_page_move_a_site_of_the_original(target: Arc<Target>) {
        let store = open_store(&target).await;
        takeover::put_original(&store).await;
        let content = "<p>One</p><img src=\"/uploads/20250301_101500_0a1b2c3d.webp\">";
        let update = Update::new().set("content", content);
        store.collection("stories").update_one(&Filter::eq("slug", "first-light"), &update).await.expect("a picture");
        let before = testkit::dump!(store);
        let program = Program::on(&target);
        let uploads = program.folder().join("original/uploads");
        fs::create_dir_all(&uploads).expect("a folder");
        for name in PICTURE {
            fs::write(uploads.join(name), name).expect("a file");
        }

        let sections = guide::sections(include_str!("../../docs/moving.md"));
        let names: Vec<_> = sections.iter().map(|(name, _)| &**name).collect();
        assert_eq!(names, ["Moving", "Going back"]);
        for (name, parts) in &sections {
            for part in parts {
                match part {
                    Part::Given(what) => assert_eq!(what, "a database and files of the original"),
                    Part::Script(block) => guide::run_block(name, block, &program),
                }
            }
            let after = testkit::dump!(store);
            for (collection, documents) in &before {
                let kept = documents.iter().filter(|document| after[collection].contains(document)).count();
                // The administrator signed in, which their document records.
                let changed = usize::from(name == "Moving" && collection == "users");
                assert_eq!(kept + changed, documents.len(), "{name}: {collection} has what the original left");
            }
            assert_eq!(after["pymongo_migrate"], before["pymongo_migrate"], "{name}");
            let moved = after["stories"].len() - before["stories"].len();
            assert_eq!(moved, usize::from(name == "Moving"), "{name}: the story that was written");
        }
        for (file, width) in [("large.webp", PICTURE[0]), ("small.webp", PICTURE[2])] {
            assert_eq!(fs::read_to_string(program.folder().join(file)).expect("a file"), width);
        }
        store.close().await;
    }
}
