use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use field_notes::config::VARIABLES;
use serde_yaml_ng::Value;

fn read(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).expect("the file is there")
}

fn compose(file: &str) -> Value {
    let mut compose: Value = serde_yaml_ng::from_str(&read(file)).expect("it is YAML");
    // One level of anchors at a time.
    for _ in 0..4 {
        compose.apply_merge().expect("merge keys name mappings");
    }
    compose
}

fn service(name: &str) -> Value {
    compose("docker-compose.yml")["services"][name].clone()
}

fn words(list: &Value) -> Vec<&str> {
    list.as_sequence().expect("a list").iter().map(|word| word.as_str().expect("a text")).collect()
}

/// Returns the variables that the file lists, commented out or not, with a value each.
fn example() -> BTreeMap<String, String> {
    let text = read(".env.example");
    let lines = text.lines().map(|line| line.trim_start_matches('#'));
    let variables = lines.filter_map(|line| line.split_once('='));
    let is_name = |name: &str| {
        !name.is_empty()
            && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
    };
    variables
        .filter(|(name, _)| is_name(name))
        .map(|(name, _)| (name.to_owned(), "from .env".to_owned()))
        .collect()
}

/// The environment of the backend's process: the image, then `env_file`, then `environment`, as Compose merges them.
#[test]
fn every_variable_reaches_the_backend_through_compose() {
    let backend = service("backend");
    assert_eq!(backend["env_file"], Value::from(".env"));
    let mut process = BTreeMap::new();
    for line in read("Dockerfile").lines().filter_map(|line| line.strip_prefix("ENV ")) {
        process.extend(line.split_whitespace().map(|pair| {
            let (name, value) = pair.split_once('=').unwrap();
            (name.to_owned(), value.to_owned())
        }));
    }
    assert_eq!(process["ENVIRONMENT"], "production");
    process.extend(example());
    let mut set = Vec::new();
    for (name, value) in backend["environment"].as_mapping().unwrap() {
        set.push(name.as_str().unwrap().to_owned());
        process.insert(set[set.len() - 1].clone(), value.as_str().unwrap().to_owned());
    }
    assert_eq!(set, ["HOST", "PORT", "MONGO_URI"], "only what the containers themselves decide is set");
    for variable in VARIABLES {
        let value = process.get(variable.name);
        let expected =
            if set.iter().any(|name| name == variable.name) { value } else { Some(&"from .env".to_owned()) };
        assert!(
            value.is_some() && value == expected,
            "{} does not reach the process: {value:?}",
            variable.name
        );
    }
}

#[test]
fn services_restart_stop_in_time_and_report_readiness() {
    for name in ["mongo", "backend"] {
        let service = service(name);
        assert_eq!(service["restart"], Value::from("unless-stopped"), "{name}");
        assert!(service["stop_grace_period"].is_string(), "{name}");
        assert!(service["healthcheck"]["test"].is_sequence(), "{name}");
    }
    let test = service("backend")["healthcheck"]["test"].clone();
    assert_eq!(words(&test), ["CMD", "field-notes", "healthcheck", "--ready"]);
    let dockerfile = read("Dockerfile");
    assert!(dockerfile.contains(r#"CMD ["field-notes", "healthcheck", "--ready"]"#), "{dockerfile}");
    assert!(
        dockerfile.contains("\nVOLUME /data\n") && dockerfile.contains("\nUSER 65532:65532\n"),
        "{dockerfile}"
    );
}

#[test]
fn mongodb_requires_authentication_and_publishes_no_port() {
    let mongo = service("mongo");
    assert_eq!(mongo["image"], Value::from("mongo:8.0"));
    assert!(mongo["ports"].is_null());
    let start = mongo["entrypoint"].as_sequence().unwrap().last().unwrap().as_str().unwrap();
    assert!(start.contains("--keyFile"), "a key file turns authentication on: {start}");
    let password = mongo["environment"]["MONGO_INITDB_ROOT_PASSWORD"].as_str().unwrap();
    assert!(password.starts_with("${MONGO_ROOT_PASSWORD:?"), "there is no default: {password}");
    let uri = service("backend")["environment"]["MONGO_URI"].as_str().unwrap().to_owned();
    assert!(uri.contains("${MONGO_ROOT_PASSWORD}") && uri.contains("authSource=admin"), "{uri}");
}

#[test]
fn image_excludes_local_data() {
    let ignored = read(".dockerignore");
    for path in ["/target", "/data", "/backups", "/.git", "/.env", "/deploy", "/ops/.env", "/ops/secrets"] {
        assert!(ignored.lines().any(|line| line == path), "{path}");
    }
}

#[test]
fn production_restarts_stops_in_time_and_writes_only_where_it_must() {
    let services = compose("ops/compose.production.yml")["services"].clone();
    for (name, service) in services.as_mapping().expect("services") {
        let name = name.as_str().expect("a name");
        assert_eq!(service["restart"], Value::from("unless-stopped"), "{name}");
        assert_eq!(words(&service["security_opt"]), ["no-new-privileges:true"], "{name}");
        assert!(service["stop_grace_period"].is_string(), "{name}");
        assert!(!service["healthcheck"]["test"].is_null(), "{name}");
        let publishes = !service["ports"].is_null();
        assert_eq!(publishes, name == "caddy", "{name}: clients reach Caddy alone");
        if !name.starts_with("mongo") {
            assert_eq!(service["read_only"], Value::from(true), "{name}");
            assert_eq!(words(&service["cap_drop"]), ["ALL"], "{name}");
        }
    }
    for name in ["backend-1", "backend-2", "worker"] {
        let test = &services[name]["healthcheck"]["test"];
        assert_eq!(words(test), ["CMD", "field-notes", "healthcheck", "--ready"], "{name}");
    }
    let proxy = read("ops/Caddyfile");
    assert!(proxy.contains("reverse_proxy backend-1:5001 backend-2:5001 {"), "{proxy}");
    assert!(proxy.contains("health_uri /readyz"), "{proxy}");
}

#[test]
fn secrets_of_production_are_files_and_mongodb_requires_authentication() {
    let production = compose("ops/compose.production.yml");
    for (name, secret) in production["secrets"].as_mapping().expect("secrets") {
        let file = secret["file"].as_str().expect("a file");
        assert!(file.starts_with("./secrets/"), "{name:?}: {file}");
    }
    assert!(read(".gitignore").lines().any(|line| line == "/ops/secrets"));
    let services = &production["services"];
    for name in ["mongo-1", "mongo-2", "mongo-3"] {
        assert_eq!(words(&services[name]["networks"]), ["store"], "{name}");
        let start = words(&services[name]["entrypoint"])[2].to_owned();
        assert!(start.contains("--replSet rs0") && start.contains("--keyFile"), "{name}: {start}");
    }
    assert_eq!(production["networks"]["store"]["internal"], Value::from(true));
    for name in ["backend-1", "backend-2", "worker", "backup"] {
        assert_eq!(services[name]["secrets"][0]["target"], Value::from("/.env"), "{name}");
        let names: Vec<_> = services[name]["environment"]
            .as_mapping()
            .expect("variables")
            .keys()
            .filter_map(Value::as_str)
            .collect();
        let is_secret =
            |name: &&&str| name.contains("URI") || name.contains("TOKEN") || name.contains("PASSWORD");
        assert_eq!(names.iter().find(is_secret), None, "{name}");
    }
}
