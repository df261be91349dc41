use axum::http::Method;
use bson::doc;
use docstore::Database;
use field_notes::domain::{VideoJobDraft, VideoMetadata};
use field_notes::identity::WorkerToken;
use field_notes::startup;
use serde_json::{Value, json};

use crate::support::{Answer, App, NOW_MS};
use crate::writing::ANONYMOUS;

const JOBS: &str = "/video-processing/jobs";
const TOKEN: &str = "a-token-of-the-worker";

fn draft(file: &str) -> Value {
    json!({
        "original_file": file,
        "metadata": {
            "duration_seconds": 12.5, "width": 1920, "height": 1080, "file_size": 7_340_032, "content_type": "video/mp4",
            "upload_time": "2026-01-02T03:04:05.25",
        },
    })
}

fn job_path(id: &Value) -> String {
    format!("{JOBS}/{}", id.as_str().expect("an id"))
}

async fn create(app: &App, file: &str) -> String {
    let answer = app.post("author", JOBS, &draft(file)).await;
    assert_eq!(answer.status, 200);
    job_path(&answer.json()["job_id"])
}

async fn patch(app: &App, path: &str, body: &Value) -> Answer {
    app.write("author", Method::PATCH, path, &[], body.to_string()).await
}

fn files(list: &Value) -> Vec<&str> {
    list.as_array()
        .expect("a list")
        .iter()
        .map(|job| job["original_file"].as_str().expect("a file"))
        .collect()
}

testkit::stores! {
    async fn jobs_have_the_shape_of_the_contract(db: Database) {
        let app = App::on(&db).await;
        let created = app.post("author", JOBS, &draft("uploads/a.mp4")).await.json();
        let id = &created["job_id"];
        let expected = json!({ "job_id": id, "status": "started", "message": "Video processing job created successfully" });
        assert_eq!(created, expected);
        let path = job_path(id);
        let job = app.get_as("commenter", &path).await;
        let expected = json!({
            "job_id": id, "original_file": "uploads/a.mp4", "status": "started",
            "created_at": "2026-01-02T03:04:05.678000", "updated_at": "2026-01-02T03:04:05.678000",
            "metadata": {
                "duration_seconds": 12.5, "width": 1920, "height": 1080, "file_size": 7_340_032,
                "content_type": "video/mp4", "upload_time": "2026-01-02T03:04:05.250000",
            },
            "thumbnail_options": [], "selected_thumbnail_id": "", "processed_formats": [], "error_message": "",
        });
        assert_eq!((job.status.as_u16(), job.json()), (200, expected));
        let changed = patch(&app, &path, &json!({ "status": "failed", "error_message": "no video stream" })).await;
        let message = format!("Video processing job {} updated successfully", id.as_str().unwrap());
        assert_eq!(changed.json(), json!({ "status": "updated", "message": message }));
        let job = app.get_as("commenter", &path).await.json();
        assert_eq!((&job["status"], &job["error_message"]), (&json!("failed"), &json!("no video stream")));
        let deleted = app.delete("author", &path).await;
        assert_eq!((deleted.status.as_u16(), &deleted.json()["status"]), (200, &json!("deleted")));
        for answer in [app.delete("author", &path).await, app.get_as("author", &path).await, patch(&app, &path, &json!({})).await] {
            assert_eq!((answer.status.as_u16(), &answer.json()["detail"]), (404, &json!("Job not found")));
        }
    }

    async fn jobs_are_listed_by_status_the_newest_first(db: Database) {
        let app = App::on(&db).await;
        for file in ["uploads/a.mp4", "uploads/b.mp4", "uploads/c.mp4"] {
            create(&app, file).await;
            app.clock.advance(chrono::TimeDelta::seconds(1));
        }
        let list = app.get_as("commenter", JOBS).await.json();
        assert_eq!(files(&list), ["uploads/c.mp4", "uploads/b.mp4", "uploads/a.mp4"]);
        let b = job_path(&list[1]["job_id"]);
        assert_eq!(patch(&app, &b, &json!({ "status": "completed" })).await.status, 200);
        let by_status = async |status: &str| app.get_as("commenter", &format!("{JOBS}?status={status}")).await;
        assert_eq!(files(&by_status("completed").await.json()), ["uploads/b.mp4"]);
        assert_eq!(files(&by_status("started").await.json()), ["uploads/c.mp4", "uploads/a.mp4"]);
        assert_eq!(by_status("unknown").await.status, 422);
        for n in 0..50 {
            create(&app, &format!("uploads/{n}.mp4")).await;
        }
        assert_eq!(files(&app.get_as("commenter", JOBS).await.json()).len(), 50);
    }

    async fn jobs_of_the_cloud_function_are_read(db: Database) {
        let app = App::on(&db).await;
        let at = bson::DateTime::from_millis(NOW_MS);
        let format = doc! { "format": "mp4_720p", "url": "/uploads/uploads/processed/a_720p.mp4", "width": 1280_i32, "height": 720_i32 };
        let thumbnail = doc! { "id": "thumb_1s", "url": "/uploads/thumbnails/a_thumb_0.jpg", "timestamp_seconds": 1_i32, "is_custom": false };
        let jobs = vec![
            doc! {
                "job_id": "of-the-function", "original_file": "uploads/a.mp4", "status": "completed", "created_at": at,
                "updated_at": at, "metadata": { "duration_seconds": 12_i32, "width": 1920_i32, "height": 1080_i32,
                "file_size": 5_i64, "content_type": "video/mp4", "upload_time": at }, "thumbnail_options": [thumbnail],
                "selected_thumbnail_id": "", "processed_formats": [format, "mp4_480p"], "error_message": "",
            },
            // What it writes by itself if the API does not answer.
            doc! { "job_id": "bare", "original_file": "uploads/b.mp4", "status": "failed", "created_at": at, "error_message": "e" },
            doc! { "original_file": "uploads/c.mp4", "status": "failed", "created_at": at },
        ];
        db.collection("video_processing_jobs").insert_many(jobs).await.unwrap();
        let job = app.get_as("author", &format!("{JOBS}/of-the-function")).await.json();
        let format = json!({ "format": "mp4_720p", "url": "/uploads/uploads/processed/a_720p.mp4", "width": 1280, "height": 720 });
        assert_eq!(job["processed_formats"], json!([format, "mp4_480p"]));
        assert_eq!((&job["thumbnail_options"][0]["timestamp_seconds"], &job["metadata"]["duration_seconds"]), (&json!(1.0), &json!(12.0)));
        let bare = app.get_as("author", &format!("{JOBS}/bare")).await.json();
        assert_eq!((&bare["metadata"]["width"], &bare["metadata"]["upload_time"]), (&json!(0), &bare["created_at"]));
        // A job without an id cannot be asked for, and is left out.
        assert_eq!(app.get_as("author", JOBS).await.json().as_array().unwrap().len(), 2);
    }

    async fn jobs_are_changed_by_their_file(db: Database) {
        let app = App::on(&db).await;
        let older = create(&app, "uploads/a.mp4").await;
        app.clock.advance(chrono::TimeDelta::seconds(1));
        let newer = create(&app, "uploads/a.mp4").await;
        let by_file = format!("{JOBS}/by-file");
        let format = json!({ "format": "mp4_720p", "url": "/uploads/processed/a_720p.mp4", "width": 1280, "height": 720 });
        let data = json!({ "status": "completed", "processed_formats": [format, "mp4_480p"], "metadata": draft("")["metadata"] });
        let answer = patch(&app, &by_file, &json!({ "original_file": "uploads/a.mp4", "update_data": data })).await;
        let message = "Video processing job for uploads/a.mp4 updated successfully";
        assert_eq!((answer.status.as_u16(), answer.json()), (200, json!({ "status": "updated", "message": message })));
        let job = app.get_as("author", &newer).await.json();
        assert_eq!((&job["status"], &job["processed_formats"]), (&json!("completed"), &json!([format, "mp4_480p"])));
        assert_eq!(app.get_as("author", &older).await.json()["status"], "started");
        let unknown = patch(&app, &by_file, &json!({ "original_file": "uploads/b.mp4", "update_data": { "status": "failed" } })).await;
        assert_eq!(unknown.status, 404);
        for data in [json!({}), json!({ "$set": { "status": "failed" } }), json!({ "status": "failed", "user_id": "x" }), json!({ "lease": 1 })] {
            let answer = patch(&app, &by_file, &json!({ "original_file": "uploads/a.mp4", "update_data": data })).await;
            assert_eq!(answer.errors()[0].0, json!(["body", "update_data"]), "{data}");
        }
    }

    async fn thumbnails_that_do_not_exist_cannot_be_chosen(db: Database) {
        let app = App::on(&db).await;
        let path = create(&app, "uploads/a.mp4").await;
        let choose = async |path: &str, id: &str| app.post("author", &format!("{path}/select-thumbnail"), &json!({ "thumbnail_id": id })).await;
        assert_eq!(choose(&path, "thumb_0").await.json()["detail"], "Thumbnail not found");
        let option = json!({ "id": "thumb_0", "url": "/uploads/thumbnails/a_thumb_0.jpg", "timestamp_seconds": 1.25 });
        assert_eq!(patch(&app, &path, &json!({ "thumbnail_options": [option] })).await.status, 200);
        let chosen = choose(&path, "thumb_0").await.json();
        assert_eq!((&chosen["status"], &chosen["thumbnail_id"]), (&json!("thumbnail_selected"), &json!("thumb_0")));
        let job = app.get_as("author", &path).await.json();
        assert_eq!(job["selected_thumbnail_id"], "thumb_0");
        assert_eq!(job["thumbnail_options"][0]["is_custom"], false);
        assert_eq!(choose(&path, "thumb_1").await.status, 404);
        assert_eq!(choose(&format!("{JOBS}/none"), "thumb_0").await.json()["detail"], "Job not found");
        assert_eq!(patch(&app, &path, &json!({ "selected_thumbnail_id": "thumb_1" })).await.status, 404);
        for good in [json!({ "selected_thumbnail_id": "" }), json!({ "selected_thumbnail_id": "thumb_0" })] {
            assert_eq!(patch(&app, &path, &good).await.status, 200, "{good}");
        }
    }

    async fn invalid_fields_of_jobs_are_422(db: Database) {
        let app = App::on(&db).await;
        let path = create(&app, "uploads/a.mp4").await;
        let before = testkit::dump!(db);
        let option = |url: &str| json!([{ "id": "a", "url": url, "timestamp_seconds": 0 }]);
        for (field, value, loc, kind) in [
            ("status", json!("done"), json!(["body", "status"]), "literal_error"),
            ("status", json!(null), json!(["body", "status"]), "literal_error"),
            ("error_message", json!(null), json!(["body", "error_message"]), "string_type"),
            ("metadata", json!(null), json!(["body", "metadata"]), "model_attributes_type"),
            ("metadata", json!({}), json!(["body", "metadata", "duration_seconds"]), "missing"),
            ("thumbnail_options", json!({}), json!(["body", "thumbnail_options"]), "list_type"),
            ("thumbnail_options", json!(["a"]), json!(["body", "thumbnail_options", 0]), "model_attributes_type"),
            ("thumbnail_options", option("javascript:alert(1)"), json!(["body", "thumbnail_options", 0, "url"]), "value_error"),
            ("processed_formats", json!(["a", 1]), json!(["body", "processed_formats", 1]), "model_attributes_type"),
            ("processed_formats", json!(vec!["a"; 51]), json!(["body", "processed_formats"]), "too_long"),
        ] {
            let answer = patch(&app, &path, &json!({ field: value })).await;
            assert_eq!(answer.errors()[0], (loc, kind.to_owned()), "{field}");
        }
        for (field, value, kind) in [
            ("duration_seconds", json!(-1), "greater_than_equal"),
            ("duration_seconds", json!("x"), "float_parsing"),
            ("width", json!(1.5), "int_from_float"),
            ("upload_time", json!("yesterday"), "datetime_parsing"),
        ] {
            let mut body = draft("uploads/a.mp4");
            body["metadata"][field] = value;
            let answer = app.post("author", JOBS, &body).await;
            assert_eq!(answer.errors(), [(json!(["body", "metadata", field]), kind.to_owned())]);
        }
        assert_eq!(testkit::dump!(db), before);
    }

    async fn writes_of_jobs_need_an_author_or_the_token_of_the_worker(db: Database) {
        let app = App::on_with(&db, |config| config.video_worker_token = WorkerToken::new(TOKEN)).await;
        let path = create(&app, "uploads/a.mp4").await;
        let as_worker = async |method: Method, path: &str, body: &Value, token: &str| {
            let token = format!("Bearer {token}");
            app.write(ANONYMOUS, method, path, &[("authorization", &token)], body.to_string()).await.status.as_u16()
        };
        let failed = json!({ "status": "failed" });
        for (who, status) in [(ANONYMOUS, 401), ("commenter", 403)] {
            assert_eq!(app.write(who, Method::PATCH, &path, &[], failed.to_string()).await.status, status);
        }
        for wrong in ["a-token-of-the-worke", "a-token-of-the-workerr", "A-token-of-the-worker"] {
            assert_eq!(as_worker(Method::PATCH, &path, &failed, wrong).await, 401, "{wrong}");
        }
        assert_eq!(app.get_as("author", &path).await.json()["status"], "started");
        assert_eq!(as_worker(Method::PATCH, &path, &failed, TOKEN).await, 200);
        let by_file = json!({ "original_file": "uploads/a.mp4", "update_data": failed });
        assert_eq!(as_worker(Method::PATCH, &format!("{JOBS}/by-file"), &by_file, TOKEN).await, 200);
        assert_eq!(as_worker(Method::POST, JOBS, &draft("uploads/b.mp4"), TOKEN).await, 200);
        assert_eq!(as_worker(Method::DELETE, &path, &json!({}), TOKEN).await, 200);
        // It opens nothing else.
        let story = json!({ "title": "t", "content": "<p>c</p>", "is_published": true });
        assert_eq!(as_worker(Method::POST, "/stories", &story, TOKEN).await, 401);
        for path in [JOBS, "/me"] {
            assert_eq!(as_worker(Method::GET, path, &json!({}), TOKEN).await, 401, "{path}");
        }
    }

    async fn uploads_get_one_job_each(db: Database) {
        let app = App::on(&db).await;
        let services = startup::services(&app.config, &db, std::sync::Arc::new(app.clock.clone()));
        let metadata = VideoMetadata {
            duration_seconds: 1.0,
            width: 64,
            height: 36,
            file_size: 1000,
            content_type: "video/mp4".to_owned(),
            upload_time: chrono::DateTime::UNIX_EPOCH,
        };
        let draft = VideoJobDraft { original_file: "uploads/a.mp4".to_owned(), metadata };
        let first = services.video_jobs.enqueue(draft.clone()).await.unwrap();
        assert_eq!(services.video_jobs.enqueue(draft).await.unwrap(), first);
        let list = app.get_as("author", &format!("{JOBS}?status=pending")).await.json();
        assert_eq!(files(&list), ["uploads/a.mp4"]);
        assert_eq!(list[0]["metadata"]["upload_time"], "1970-01-01T00:00:00");
    }
}
