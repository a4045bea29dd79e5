//! The command line itself: usage errors, completions and the manual page.

#![allow(clippy::unwrap_used)]

mod support;

use support::{command, err, json, out, refused, run, run_with_input, spec};

#[test]
fn a_refusal_is_one_line_and_repeats_no_secret() {
    for engine in ["http://ada:hunter2@host", "hunter2", "sqlite=hunter2://x", "@/nowhere/hunter.conf"] {
        let line = refused(&["--engine", engine, "count"], 2);
        assert!(!line.contains("hunter2"), "{line}");
    }
    assert!(refused(&["count"], 2).contains("SESSIONCTL_ENGINE"));
    let token = "hunter2hunter2hunter2hunter2hunter2hunter2hun";
    let line = refused(&["--engine", "memory", "end", token], 2);
    assert!(line.contains("standard input") && !line.contains("hunter2"), "{line}");
    let line = run(&["--engine", "memory", "end", token, "--json"]);
    let error: serde_json::Value = serde_json::from_slice(&line.stderr).unwrap();
    assert_eq!(error["code"], 2);
    assert_eq!(run_with_input(&["--engine", "memory", "end", "-"], "two words").status.code(), Some(2));
    assert_eq!(run(&["--engine", "memory", "nonsense"]).status.code(), Some(2));
}

#[test]
fn an_unreachable_server_has_its_own_exit_code() {
    let line = refused(&["--engine", "redis=127.0.0.1:1,1,hunter2", "--timeout", "5", "ping"], 5);
    assert!(!line.contains("hunter2"), "{line}");
}

#[test]
fn the_engine_comes_from_the_environment_or_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let sessions = spec("file", directory.path().join("sessions").display());
    let named = directory.path().join("engine");
    std::fs::write(&named, format!("{sessions}\n")).unwrap();
    let from_file = format!("@{}", named.display());
    assert_eq!(json(&["--engine", &from_file, "count"])["engine"], "file");

    let mut counted = command(&["count"]);
    let counted = counted.env("SESSIONCTL_ENGINE", &sessions).output().unwrap();
    assert_eq!(out(&counted), "0\n", "{}", err(&counted));
    let mut help = command(&["--help"]);
    let help = help.env("SESSIONCTL_ENGINE", "redis://:hunter2@host").output().unwrap();
    assert!(!out(&help).contains("hunter2"));
}

#[test]
fn a_mistyped_sqlite_file_is_not_created() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sesions.db");
    refused(&["--engine", &spec("sqlite", path.display()), "count"], 2);
    assert!(!path.exists());
}

#[test]
fn there_are_completions_and_a_manual_page() {
    for (shell, expected) in
        [("bash", "_sessionctl"), ("zsh", "#compdef sessionctl"), ("fish", "complete -c")]
    {
        let script = run(&["completions", shell]);
        assert!(script.status.success() && out(&script).contains(expected), "{shell}");
    }
    let page = out(&run(&["man"]));
    assert!(page.contains(".TH sessionctl 1"), "{page}");
    for command in ["stats", "list", "show", "end", "gc", "count", "migrate", "copy", "ping", "bench"] {
        assert!(page.contains(&format!(".SH {}", command.to_uppercase())), "{command}");
    }
}
