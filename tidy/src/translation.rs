//! What a translated page shares with its original: headings, level by level, and code, to the byte.

/// The skeleton of a page in Markdown.
#[derive(Debug, PartialEq, Eq)]
pub struct Skeleton {
    /// The levels of its headings, in order.
    pub headings: Vec<usize>,
    /// Its blocks of code, fenced or indented, line by line.
    pub code: Vec<String>,
}

/// Reads the skeleton of a page.
#[must_use]
pub fn skeleton(page: &str) -> Skeleton {
    let (mut headings, mut code) = (Vec::new(), Vec::new());
    let mut fenced = false;
    for line in page.lines() {
        let fence = line.starts_with("```");
        if fence || fenced || line.starts_with("    ") {
            code.push(line.to_owned());
        } else if let Some(level) = line.find(' ').filter(|_| line.starts_with('#')) {
            headings.push(level);
        }
        fenced ^= fence;
    }
    Skeleton { headings, code }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_skeleton_has_headings_and_code_and_no_prose() {
        let page = "# a\n\nwords\n\n    run\n\n## b\n\n```sh\n# no heading\n```\n";
        let found = skeleton(page);
        assert_eq!(found.headings, [1, 2]);
        assert_eq!(found.code, ["    run", "```sh", "# no heading", "```"]);
    }

    #[test]
    fn another_heading_or_another_letter_of_code_is_another_skeleton() {
        let one = skeleton("# a\n## b\n    run\n");
        assert_eq!(one, skeleton("# 甲\n## 乙\n    run\n"));
        assert_ne!(one, skeleton("# a\n### b\n    run\n"));
        assert_ne!(one, skeleton("# a\n## b\n    runs\n"));
    }
}
