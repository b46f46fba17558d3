//! What a run has found, as the tables of docs/reliability.md.

use std::fmt::Write;

use super::account::Seen;
use super::comparison::Comparison;
use super::hall::Hall;
use super::ledger::Ledger;
use super::verdict::Offence;

/// What a run has found.
pub struct Findings {
    /// What happened, and what was wrong with it.
    pub hall: Hall,
    /// What the clients saw.
    pub seen: Seen,
    /// (message, user), and those of them that reached no device.
    pub user_units: (u64, u64),
    /// Seconds from the first message to the last acknowledgement.
    pub seconds: f64,
    /// The server's ledger in the end.
    pub ledger: Ledger,
    /// How it and what was seen compare.
    pub comparisons: Vec<Comparison>,
}

impl Findings {
    /// Whether nothing broke the contract and the ledger adds up.
    pub fn is_clean(&self) -> bool {
        self.hall.verdict.offences() == 0
    }

    /// All of it in Markdown.
    pub fn report(&self) -> String {
        let mut out = String::new();
        // Writing into a string can't fail.
        let _ = self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let Findings { hall, seen, .. } = self;
        let count = |offence| hall.verdict.count(offence);
        let known = [Offence::Lost, Offence::Doubled, Offence::OutOfOrder].map(count);
        let rate = hall.accepted as f64 / self.seconds.max(0.001);
        writeln!(out, "| what the clients saw | |\n| --- | ---: |")?;
        row(out, "messages published and acknowledged", hall.accepted)?;
        row(out, "of them a second", rate as u64)?;
        row(out, "deliveries seen", seen.first)?;
        row(out, "lost", known[0])?;
        row(out, "doubled", known[1])?;
        row(out, "out of order", known[2])?;
        row(
            out,
            "wrong in another way",
            hall.verdict.offences() - known.iter().sum::<u64>(),
        )?;
        row(out, "(message, user)", self.user_units.0)?;
        row(out, "of them told as missed, and missed", self.user_units.1)?;
        row(
            out,
            "`user` messages given again, since no receipt had come",
            seen.again,
        )?;
        writeln!(out, "\n| what was done | |\n| --- | ---: |")?;
        for (what, &times) in &hall.tally {
            row(out, what, times)?;
        }
        writeln!(
            out,
            "\n| the fate | the ledger | what was seen | |\n| --- | ---: | ---: | --- |"
        )?;
        for comparison in &self.comparisons {
            let what = comparison.what;
            let seen = match (grouped(comparison.least), comparison.most) {
                (least, most) if most == comparison.least => least,
                (least, u64::MAX) => format!("{least} or more"),
                (least, most) => format!("{least} to {}", grouped(most)),
            };
            let holds = ["**wrong**", "holds"][usize::from(comparison.holds())];
            writeln!(
                out,
                "| {what} | {} | {seen} | {holds} |",
                grouped(comparison.server)
            )?;
        }
        let dropped = self.ledger.dropped.iter();
        let dropped: Vec<String> = dropped
            .map(|(reason, n)| format!("{reason} {}", grouped(*n)))
            .collect();
        writeln!(
            out,
            "\nIn all expired {}, dropped: {}.",
            grouped(self.ledger.expired),
            dropped.join(", ")
        )?;
        for case in &hall.verdict.cases {
            writeln!(out, "  {case}")?;
        }
        Ok(())
    }
}

fn row(out: &mut String, what: &str, number: u64) -> std::fmt::Result {
    writeln!(out, "| {what} | {} |", grouped(number))
}

/// A number with commas between its thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!(
            [0, 999, 1_000, 1_234_567].map(grouped),
            ["0", "999", "1,000", "1,234,567"]
        );
    }
}
