use serde_json::{Value, json};

/// The bound that a figure must meet.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

/// The unit of a figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Requests per second of the subject divided by those of the ceiling.
    OfRates,
    /// Time of the ceiling divided by that of the subject: 1 is as fast as the ceiling.
    OfTimes,
    /// One time divided by another: 1 is not slower.
    TimesOver,
    /// Milliseconds.
    Milliseconds,
    /// Mebibytes.
    Mebibytes,
}

/// The measurements of one round: of the subject, and of the ceiling if there is one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Round {
    pub(crate) subject: f64,
    pub(crate) other: Option<f64>,
}

/// The result of measuring a row.
pub(crate) struct Measured {
    pub(crate) rounds: Vec<Round>,
    /// Remarks needed to interpret the figures.
    pub(crate) note: String,
}

/// A row of the table, measured or failed.
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    pub(crate) what: String,
    pub(crate) target: Bound,
    pub(crate) unit: Unit,
    pub(crate) outcome: Result<Measured, String>,
}

impl Unit {
    /// Returns the figure of a round, or `None` if it cannot be computed.
    fn figure(self, round: Round) -> Option<f64> {
        let figure = match (self, round.other) {
            (Self::OfRates | Self::TimesOver, Some(other)) => round.subject / other,
            (Self::OfTimes, Some(other)) => other / round.subject,
            (Self::Milliseconds | Self::Mebibytes, _) => round.subject,
            (Self::OfRates | Self::OfTimes | Self::TimesOver, None) => return None,
        };
        figure.is_finite().then_some(figure)
    }

    fn is_ratio(self) -> bool {
        matches!(self, Self::OfRates | Self::OfTimes | Self::TimesOver)
    }

    /// Formats a figure for the table.
    pub(crate) fn format(self, figure: f64) -> String {
        match self {
            Self::OfRates | Self::OfTimes | Self::TimesOver => format!("{figure:.2}"),
            Self::Milliseconds => format!("{figure:.1} ms"),
            Self::Mebibytes => format!("{figure:.1} MiB"),
        }
    }

    /// Formats one side of a ratio for the table.
    fn side(self, value: f64) -> String {
        match self {
            Self::OfRates => format!("{value:.0}/s"),
            Self::OfTimes | Self::TimesOver | Self::Milliseconds => format!("{value:.2} ms"),
            Self::Mebibytes => format!("{value:.1} MiB"),
        }
    }
}

impl Bound {
    fn is_met(self, figure: f64) -> bool {
        match self {
            Self::AtLeast(least) => figure >= least,
            Self::AtMost(most) => figure <= most,
        }
    }

    fn format(self, unit: Unit) -> String {
        let bound = |bound: f64| match unit {
            Unit::Milliseconds => format!("{bound} ms"),
            Unit::Mebibytes => format!("{bound} MiB"),
            Unit::OfRates | Unit::OfTimes | Unit::TimesOver => format!("{bound}"),
        };
        match self {
            Self::AtLeast(least) => format!("≥ {}", bound(least)),
            Self::AtMost(most) => format!("≤ {}", bound(most)),
        }
    }

    /// Returns how much better than the target a figure is: 1 just meets it.
    pub(crate) fn margin(self, figure: f64) -> f64 {
        match self {
            Self::AtLeast(least) => figure / least,
            Self::AtMost(most) => most / figure,
        }
    }

    fn json(self) -> Value {
        match self {
            Self::AtLeast(least) => json!({ "at_least": least }),
            Self::AtMost(most) => json!({ "at_most": most }),
        }
    }
}

/// Minimum, median and maximum.
pub(crate) struct Spread {
    pub(crate) least: f64,
    pub(crate) median: f64,
    pub(crate) greatest: f64,
}

/// Returns the spread of values in any order, or `None` without values.
pub(crate) fn spread(mut values: Vec<f64>) -> Option<Spread> {
    values.sort_by(f64::total_cmp);
    let (least, greatest) = (*values.first()?, *values.last()?);
    let middle = values.len() / 2;
    let median = if values.len() % 2 == 1 {
        values[middle]
    } else {
        f64::midpoint(values[middle - 1], values[middle])
    };
    Some(Spread { least, median, greatest })
}

/// Returns the given percentile of the values.
pub(crate) fn percentile(mut values: Vec<f64>, percent: usize) -> Result<f64, String> {
    values.sort_by(f64::total_cmp);
    let at = (values.len() * percent / 100).min(values.len().saturating_sub(1));
    values.get(at).copied().ok_or_else(|| "nothing was measured".to_owned())
}

impl Figure {
    /// Returns the spread of the figure over the rounds.
    pub(crate) fn spread(&self) -> Option<Spread> {
        let rounds = &self.outcome.as_ref().ok()?.rounds;
        spread(rounds.iter().filter_map(|round| self.unit.figure(*round)).collect())
    }

    /// Returns true if the median meets the target, `None` if nothing was measured.
    pub(crate) fn is_met(&self) -> Option<bool> {
        self.spread().map(|spread| self.target.is_met(spread.median))
    }

    /// Formats the row of the table.
    pub(crate) fn row(&self) -> String {
        let Self { what, target, unit, outcome, .. } = self;
        let wanted = target.format(*unit);
        match (outcome, self.spread()) {
            (Ok(measured), Some(Spread { least, median, greatest })) => {
                let sides = if unit.is_ratio() { measured.sides(*unit) } else { String::new() };
                let note = [sides.as_str(), measured.note.as_str()];
                let note: Vec<_> = note.into_iter().filter(|text| !text.is_empty()).collect();
                format!(
                    "| {what} | {wanted} | {} | {} – {} | {} | {} |",
                    unit.format(median),
                    unit.format(least),
                    unit.format(greatest),
                    if target.is_met(median) { "yes" } else { "**no**" },
                    note.join("; "),
                )
            }
            (Ok(_), None) => {
                format!("| {what} | {wanted} | | | **not measured** | no round produced a figure |")
            }
            (Err(why), _) => {
                let why = why.replace(['|', '\n'], " ");
                format!("| {what} | {wanted} | | | **not measured** | {why} |")
            }
        }
    }

    /// Formats the row for a summary.
    pub(crate) fn summary(&self) -> String {
        let Self { what, target, unit, .. } = self;
        let median =
            self.spread().map_or_else(|| "not measured".to_owned(), |spread| unit.format(spread.median));
        format!("- {what}: **{median}** (target {})", target.format(*unit))
    }

    /// Returns everything known about the figure.
    pub(crate) fn json(&self) -> Value {
        let rounds = self.outcome.as_ref().map(|measured| &measured.rounds);
        let round = |round: &Round| json!({ "subject": round.subject, "other": round.other, "figure": self.unit.figure(*round) });
        json!({
            "name": self.name,
            "what": self.what,
            "unit": format!("{:?}", self.unit),
            "target": self.target.json(),
            "median": self.spread().map(|spread| spread.median),
            "least": self.spread().map(|spread| spread.least),
            "greatest": self.spread().map(|spread| spread.greatest),
            "met": self.is_met(),
            "rounds": rounds.ok().map(|rounds| rounds.iter().map(round).collect::<Vec<_>>()),
            "note": self.outcome.as_ref().ok().map(|measured| &measured.note),
            "failure": self.outcome.as_ref().err(),
        })
    }
}

impl Measured {
    /// Formats the medians of both sides.
    fn sides(&self, unit: Unit) -> String {
        let subject = spread(self.rounds.iter().map(|round| round.subject).collect());
        let other = spread(self.rounds.iter().filter_map(|round| round.other).collect());
        match (subject, other) {
            (Some(subject), Some(other)) => {
                format!("{} : {}", unit.side(subject.median), unit.side(other.median))
            }
            _ => String::new(),
        }
    }
}
