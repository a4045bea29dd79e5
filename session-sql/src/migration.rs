//! Splits an SQL file into its statements, which are sent one by one.

/// The statements of a file. Each ends with a `;` at the end of a line, outside `$$ … $$`; lines
/// that begin with `--` are skipped.
pub fn statements_of(file: &str) -> Vec<String> {
    steps_of(file).concat()
}

/// The steps of a file: statements without an empty line between them, which are repeated together
/// after an error.
pub fn steps_of(file: &str) -> Vec<Vec<String>> {
    let (mut steps, mut step, mut current, mut quoted) = (Vec::new(), Vec::new(), String::new(), false);
    for line in file.lines().filter(|line| !line.trim_start().starts_with("--")) {
        if line.trim().is_empty() && current.trim().is_empty() {
            steps.extend(Some(std::mem::take(&mut step)).filter(|step: &Vec<_>| !step.is_empty()));
        }
        quoted ^= line.matches("$$").count() % 2 == 1;
        current.push_str(line);
        current.push('\n');
        if !quoted && line.trim_end().ends_with(';') {
            step.push(current.trim().trim_end_matches(';').to_owned());
            current.clear();
        }
    }
    step.extend(Some(current.trim().to_owned()).filter(|rest| !rest.is_empty()));
    steps.extend(Some(step).filter(|step| !step.is_empty()));
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_split_into_its_statements() {
        let file = "-- About it;\n\nCREATE TABLE a (\n    b int -- a column\n);\nDO $$\nBEGIN\n    DROP TABLE b;\n\nEND $$;\n\nSELECT 1;";
        let block = "DO $$\nBEGIN\n    DROP TABLE b;\n\nEND $$";
        let table = "CREATE TABLE a (\n    b int -- a column\n)";
        assert_eq!(steps_of(file), [vec![table, block], vec!["SELECT 1"]]);
        assert_eq!(statements_of(file), [table, block, "SELECT 1"]);
        assert_eq!(statements_of("\n-- nothing\n"), [""; 0]);
    }

    #[test]
    fn a_comment_alone_begins_no_step() {
        let file = "SELECT 1;\n-- the same step\nSELECT 2;\n\n-- another\n\nSELECT 3";
        assert_eq!(steps_of(file), [vec!["SELECT 1", "SELECT 2"], vec!["SELECT 3"]]);
    }
}
