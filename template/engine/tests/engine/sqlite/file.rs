//! What if the file is absent, foreign or newer, or the URL is wrong?

use std::fs;

use super::super::start::{never_works, refuses};
use crate::common::{PastTheService, setup};

#[test]
fn a_file_that_is_no_database() {
    let setup = setup().file("data/service.db", &"garbage ".repeat(1000));
    refuses(
        setup.set("database.url", "sqlite:data/service.db"),
        &["database.url", "data/service.db", "not a database"],
    );
}

#[test]
fn a_folder_that_cannot_be_made() {
    let setup = setup().file("data", "a file");
    refuses(setup.set("database.url", "sqlite:data/service.db"), &["database.url", "data"]);
}

#[test]
fn a_check_makes_no_database() {
    let setup = setup().set("database.url", "sqlite:data/service.db");

    let report = String::from_utf8(setup.run(&["check"]).stdout).unwrap();

    assert!(report.contains("database  warning: "), "there is none yet: {report}");
    assert!(!setup.dir.path().join("data").exists());
}

/// An image or a backup may take the file alone.
#[test]
fn the_file_alone_is_the_whole_database_after_migrate_and_after_a_service() {
    let setup = setup();
    let file = setup.database.file();
    let is_whole = |after: &str| {
        let wal = file.with_extension("db-wal");
        assert!(!wal.exists(), "after {after}: what was written is in {}", wal.display());
        let copy = file.with_file_name("copy.db");
        fs::copy(&file, &copy).unwrap();
        assert!(fs::read(&copy).unwrap().windows(12).any(|text| text == b"drill_schema"), "after {after}");
    };

    assert_eq!(setup.run(&["migrate"]).status.code(), Some(0));
    is_whole("migrate");
    let mut service = setup.start();
    service.signal("TERM");
    assert_eq!(service.wait(), 0);
    is_whole("a service without a request");
}

#[tokio::test]
async fn a_newer_database_is_refused() {
    let setup = setup();
    assert_eq!(setup.run(&["migrate"]).status.code(), Some(0));
    // A service without a schema of its own has made no such table.
    let later = "CREATE TABLE IF NOT EXISTS _sqlx_migrations (version BIGINT PRIMARY KEY, description TEXT,
            installed_on TIMESTAMP, success BOOLEAN, checksum BLOB, execution_time BIGINT);
        INSERT INTO _sqlx_migrations VALUES (999, 'later', '', TRUE, x'00', 0)";
    setup.database.run(later).await;

    refuses(setup, &["database.url", "migration 999", "newer"]);
}

#[test]
fn a_url_that_can_never_work_is_refused_by_check_and_start_alike() {
    for (url, words) in [
        ("mysql://app:hunter2@db/app", "is not a SQLite URL"),
        ("sqlite::memory:", "a database of its own"),
        ("sqlite:data/x.db?mode=memory", "a database of its own"),
        ("sqlite:%3Amemory%3A", "a database of its own"),
        ("sqlite:", "names no file"),
        ("sqlite:data/", "names a folder"),
        ("sqlite:data/x.db?mode=hunter2", "an unknown mode"),
        ("sqlite:data/x.db?password=hunter2", "none of mode, cache, immutable and vfs"),
    ] {
        never_works(url, &[words]);
    }
}
