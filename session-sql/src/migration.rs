//! Splits an SQL file into its statements, which are sent one by one.

/// The statements of a file. Each ends with a `;` at the end of a line, outside `$$ … $$`; lines
/// that begin with `--` are skipped.
pub fn statements_of(file: &str) -> Vec<String> {
    let (mut statements, mut current, mut quoted) = (Vec::new(), String::new(), false);
    for line in file.lines().filter(|line| !line.trim_start().starts_with("--")) {
        quoted ^= line.matches("$$").count() % 2 == 1;
        current.push_str(line);
        current.push('\n');
        if !quoted && line.trim_end().ends_with(';') {
            statements.push(current.trim().trim_end_matches(';').to_owned());
            current.clear();
        }
    }
    statements.extend(Some(current.trim().to_owned()).filter(|rest| !rest.is_empty()));
    statements
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_split_into_its_statements() {
        let file = "-- About it;\n\nCREATE TABLE a (\n    b int -- a column\n);\nDO $$\nBEGIN\n    DROP TABLE b;\nEND $$;\n\nSELECT 1;";
        assert_eq!(
            statements_of(file),
            [
                "CREATE TABLE a (\n    b int -- a column\n)",
                "DO $$\nBEGIN\n    DROP TABLE b;\nEND $$",
                "SELECT 1"
            ]
        );
        assert_eq!(statements_of("\n-- nothing\n"), [""; 0]);
    }
}
