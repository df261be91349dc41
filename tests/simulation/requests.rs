use axum::body::Body;
use axum::http::{self, HeaderMap, Method};
use bson::oid::ObjectId;
use serde_json::{Value, json};

use crate::history::{FIRST_MARKER, History};
use crate::rng::Rng;

/// Few titles, so that their slugs meet. Two of them give one slug, and one gives the suffix of another.
const TITLES: [&str; 5] = ["A", "A!", "B", "A 2", "C"];

/// The resources that are simulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Resource {
    Stories,
    Projects,
    Sections,
}

impl Resource {
    pub(crate) const ALL: [Self; 3] = [Self::Stories, Self::Projects, Self::Sections];

    pub(crate) fn collection(self) -> &'static str {
        match self {
            Self::Stories => "stories",
            Self::Projects => "projects",
            Self::Sections => "sections",
        }
    }

    pub(crate) fn of_collection(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|resource| resource.collection() == name)
    }
}

/// A request, and what its answer is compared with.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) resource: Resource,
    pub(crate) action: Action,
    method: Method,
    pub(crate) path: String,
    /// The caller; anonymous if `None`.
    who: Option<&'static str>,
    headers: Vec<(&'static str, String)>,
    body: Option<Value>,
}

#[derive(Debug, Clone)]
pub(crate) enum Action {
    List { drafts: bool, limit: usize, offset: usize },
    Show { slug: String },
    Fetch { id: ObjectId },
    Create { marker: usize, key: Option<usize> },
    Update { marker: usize, if_match: Option<String> },
    Delete { id: ObjectId },
    Restore { id: ObjectId },
    SignIn,
}

impl Action {
    /// Returns the item that this request deletes or restores.
    pub(crate) fn moves_to_or_from_trash(&self) -> Option<ObjectId> {
        match self {
            Self::Delete { id } | Self::Restore { id } => Some(*id),
            _ => None,
        }
    }

    /// Returns the number that the write of this request leaves in the item.
    pub(crate) fn marker(&self) -> Option<usize> {
        match self {
            Self::Create { marker, .. } | Self::Update { marker, .. } => Some(*marker),
            _ => None,
        }
    }
}

/// An answer that was received to its end.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Returns the cursor of the next page.
    pub(crate) fn next_cursor(&self) -> Option<String> {
        let next = self.header("link").split(", ").find(|link| link.ends_with("rel=\"next\""))?;
        let (_, cursor) = next.split_once("cursor=")?;
        cursor.split(['&', '>']).next().map(str::to_owned)
    }

    /// Returns the id of the item that the answer shows.
    pub(crate) fn item(&self) -> Option<ObjectId> {
        ObjectId::parse_str(self.json()["id"].as_str()?).ok()
    }

    /// Returns the part of the answer that is the same whenever a seed is run.
    pub(crate) fn shape(&self) -> String {
        let body = self.json();
        let slug = |item: &Value| item["slug"].as_str().unwrap_or_default().to_owned();
        match body["items"].as_array() {
            Some(items) => {
                format!("{} of {}", items.iter().map(slug).collect::<Vec<_>>().join(" "), body["total"])
            }
            None => format!("{} {}", slug(&body), self.header("location")),
        }
    }

    /// Returns whether the request may have been executed although it failed.
    pub(crate) fn is_outcome_unknown(&self) -> bool {
        self.status >= 500 && self.json()["outcome"] == "unknown"
    }
}

impl Request {
    fn new(resource: Resource, action: Action, method: Method, path: String) -> Self {
        Self { resource, action, method, path, who: None, headers: Vec::new(), body: None }
    }

    pub(crate) fn to_http(&self) -> http::Request<Body> {
        let mut request = http::Request::builder().method(&self.method).uri(&self.path);
        if let Some(who) = self.who {
            request = request.header("authorization", format!("Bearer dev-mock-{who}"));
        }
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        let body = self.body.as_ref().map_or_else(Body::empty, |body| Body::from(body.to_string()));
        request.body(body).expect("a request")
    }

    fn by(self, who: &'static str) -> Self {
        Self { who: Some(who), ..self }
    }

    pub(crate) fn list(resource: Resource, limit: usize, offset: usize) -> Self {
        let path = format!("/{}?limit={limit}&offset={offset}", resource.collection());
        Self::new(resource, Action::List { drafts: false, limit, offset }, Method::GET, path)
    }

    /// A page by its cursor, which stands after `offset` items.
    pub(crate) fn page(resource: Resource, limit: usize, offset: usize, cursor: &str) -> Self {
        let path = format!("/{}?limit={limit}&cursor={cursor}", resource.collection());
        Self::new(resource, Action::List { drafts: false, limit, offset }, Method::GET, path)
    }

    pub(crate) fn me(who: &'static str) -> Self {
        Self::new(Resource::Stories, Action::SignIn, Method::GET, "/me".to_owned()).by(who)
    }

    /// Returns the type of the request.
    pub(crate) fn name(&self) -> String {
        let action = match self.action {
            Action::List { drafts: false, .. } => "list",
            Action::List { drafts: true, .. } => "drafts",
            Action::Show { .. } => "show",
            Action::Fetch { .. } => "fetch",
            Action::Create { .. } => "create",
            Action::Update { .. } => "update",
            Action::Delete { .. } => "delete",
            Action::Restore { .. } => "restore",
            Action::SignIn => "sign in",
        };
        format!("{} {action}", self.resource.collection())
    }

    /// Describes the request, with the ids in it, which differ between runs, left out.
    pub(crate) fn summary(&self) -> String {
        let part = |part: &str| match part.split_once('?') {
            Some((id, query)) if ObjectId::parse_str(id).is_ok() => format!("…?{query}"),
            None if ObjectId::parse_str(part).is_ok() => "…".to_owned(),
            _ => part.to_owned(),
        };
        let path = self.path.split('/').map(part).collect::<Vec<_>>().join("/");
        let path = path.split("&cursor=").next().unwrap_or_default();
        let mut body = self.body.clone();
        for field in ["parent_id", "section_id"] {
            if let Some(value) = body.as_mut().and_then(|body| body.get_mut(field)) {
                *value = json!("…");
            }
        }
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let conditional =
            if self.headers.iter().any(|(name, _)| *name == "if-match") { " if-match" } else { "" };
        format!("{} {path}{conditional} {body}", self.method)
    }

    pub(crate) fn show(resource: Resource, slug: &str) -> Self {
        let path = format!("/{}/slug/{slug}", resource.collection());
        Self::new(resource, Action::Show { slug: slug.to_owned() }, Method::GET, path)
    }

    /// A list with the drafts of others, which an administrator sees.
    pub(crate) fn drafts(resource: Resource) -> Self {
        let parameter = if resource == Resource::Stories { "include_drafts" } else { "include_unpublished" };
        let path = format!("/{}?limit=100&{parameter}=true", resource.collection());
        let action = Action::List { drafts: true, limit: 100, offset: 0 };
        Self::new(resource, action, Method::GET, path).by("admin")
    }

    fn of_item(resource: Resource, id: ObjectId, method: Method, action: Action) -> Self {
        Self::new(resource, action, method, format!("/{}/{id}", resource.collection())).by("admin")
    }
}

/// The state that the clients remember.
#[derive(Default)]
pub(crate) struct Clients {
    writes: usize,
    /// The entity tags that they have seen.
    tags: Vec<(ObjectId, String)>,
    /// The creates that they may repeat.
    creates: Vec<Request>,
    /// The last anonymous read.
    last_read: Option<Request>,
}

impl Clients {
    pub(crate) fn remember_tag(&mut self, id: ObjectId, tag: String) {
        self.tags.push((id, tag));
    }

    /// Returns the creates with a key.
    pub(crate) fn creates(&self) -> &[Request] {
        &self.creates
    }

    /// Makes a random request. Reads are often repeated, so that the cache answers some.
    pub(crate) fn request(&mut self, rng: &mut Rng, history: &History) -> Request {
        if let Some(read) = &self.last_read
            && rng.chance(350)
        {
            return read.clone();
        }
        let request = self.any_request(rng, history);
        if request.who.is_none() {
            self.last_read = Some(request.clone());
        }
        request
    }

    fn any_request(&mut self, rng: &mut Rng, history: &History) -> Request {
        let resource =
            *rng.pick(&[Resource::Stories, Resource::Stories, Resource::Projects, Resource::Sections]);
        let ids = history.ids(resource);
        let Some(id) = rng.any(&ids).copied() else { return self.create(rng, resource) };
        match rng.below(100) {
            0..22 => {
                let limit = *rng.pick(&[100, 100, 2, 1]);
                Request::list(resource, limit, if limit == 100 { 0 } else { rng.below(4) })
            }
            22..42 => {
                let slugs: Vec<_> = history.slugs(resource).into_iter().collect();
                Request::show(resource, slugs[rng.below(slugs.len())])
            }
            42..47 => Request::drafts(resource),
            47..54 => Request::of_item(resource, id, Method::GET, Action::Fetch { id }),
            54..66 => match rng.any(&self.creates) {
                Some(create) if rng.chance(250) => create.clone(),
                _ => self.create(rng, resource),
            },
            66..86 => self.update(rng, resource, id, &history.ids(Resource::Sections)),
            86..93 => {
                let mut request = Request::of_item(resource, id, Method::DELETE, Action::Delete { id });
                if resource == Resource::Sections {
                    request.path += "?force=true";
                }
                request
            }
            _ => {
                let path = format!("/trash/{}/{id}/restore", resource.collection());
                Request::new(resource, Action::Restore { id }, Method::POST, path).by("admin")
            }
        }
    }

    fn next_marker(&mut self) -> usize {
        self.writes += 1;
        FIRST_MARKER + self.writes
    }

    fn create(&mut self, rng: &mut Rng, resource: Resource) -> Request {
        let marker = self.next_marker();
        let mut body = json!({ "title": rng.pick(&TITLES), "is_published": rng.chance(700) });
        write_marker(resource, &mut body, marker);
        match resource {
            Resource::Stories => {}
            Resource::Projects => body["summary"] = json!("S"),
            Resource::Sections => {
                body["display_type"] = json!("feed");
                body["content_type"] = json!("story");
            }
        }
        let key = rng.chance(400).then_some(marker);
        let path = format!("/{}", resource.collection());
        let who = *rng.pick(&["admin", "author"]);
        let mut request = Request::new(resource, Action::Create { marker, key }, Method::POST, path).by(who);
        request.headers.push(("content-type", "application/json".to_owned()));
        request.body = Some(body);
        if let Some(key) = key {
            request.headers.push(("idempotency-key", format!("key-{key}")));
            self.creates.push(request.clone());
        }
        request
    }

    fn move_section(section: ObjectId, parent: ObjectId, marker: usize) -> Request {
        let action = Action::Update { marker, if_match: None };
        let mut request = Request::of_item(Resource::Sections, section, Method::PUT, action);
        request.body = Some(json!({ "parent_id": parent.to_hex(), "sort_order": marker }));
        request
    }

    fn update(&mut self, rng: &mut Rng, resource: Resource, id: ObjectId, sections: &[ObjectId]) -> Request {
        let marker = self.next_marker();
        let mut body = json!({});
        write_marker(resource, &mut body, marker);
        if rng.chance(400) {
            body["title"] = json!(rng.pick(&TITLES));
        }
        if rng.chance(350) {
            body["is_published"] = json!(rng.chance(500));
        }
        if resource == Resource::Sections && rng.chance(400) {
            // Few sections, so that two of them move below each other.
            let few = &sections[..sections.len().min(3)];
            let (section, parent) = (*rng.pick(few), *rng.pick(few));
            return Self::move_section(section, parent, marker);
        }
        if rng.chance(200)
            && let Some(section) = rng.any(sections)
        {
            let field = if resource == Resource::Sections { "parent_id" } else { "section_id" };
            body[field] = json!(section.to_hex());
        }
        let tags: Vec<_> = self.tags.iter().rev().filter(|(of, _)| *of == id).take(2).collect();
        let if_match = rng.any(&tags).filter(|_| rng.chance(700)).map(|(_, tag)| tag.clone());
        let action = Action::Update { marker, if_match: if_match.clone() };
        let mut request = Request::of_item(resource, id, Method::PUT, action);
        request.headers.extend(if_match.map(|tag| ("if-match", tag)));
        request.body = Some(body);
        request
    }
}

fn write_marker(resource: Resource, body: &mut Value, marker: usize) {
    match resource {
        Resource::Stories | Resource::Projects => body["content"] = json!(format!("<p>w{marker}</p>")),
        Resource::Sections => body["sort_order"] = json!(marker),
    }
}
