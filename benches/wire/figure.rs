use serde_json::{Value, json};

/// What a figure has to come to.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target {
    AtLeast(f64),
    AtMost(f64),
}

/// What a figure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Subject by ceiling, of requests a second.
    OfRates,
    /// Ceiling by subject, of times: 1 is as quick as the ceiling.
    OfTimes,
    /// One time by another: 1 is no slower.
    TimesOver,
    /// Milliseconds.
    Milliseconds,
    /// Mebibytes.
    Mebibytes,
}

/// One round: what was measured of the subject, and of what it is compared with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Round {
    pub(crate) subject: f64,
    pub(crate) other: Option<f64>,
}

/// What measuring a row came to.
pub(crate) struct Measured {
    pub(crate) rounds: Vec<Round>,
    /// What has to be known to read it.
    pub(crate) note: String,
}

/// A row of the table, measured or failed.
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    pub(crate) what: String,
    pub(crate) target: Target,
    pub(crate) unit: Unit,
    pub(crate) outcome: Result<Measured, String>,
}

impl Unit {
    /// The figure of a round; `None` where there is none.
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

    /// A figure for people.
    pub(crate) fn shown(self, figure: f64) -> String {
        match self {
            Self::OfRates | Self::OfTimes | Self::TimesOver => format!("{figure:.2}"),
            Self::Milliseconds => format!("{figure:.1} ms"),
            Self::Mebibytes => format!("{figure:.1} MiB"),
        }
    }

    /// What the two sides of a ratio were, for people.
    fn side(self, value: f64) -> String {
        match self {
            Self::OfRates => format!("{value:.0}/s"),
            Self::OfTimes | Self::TimesOver | Self::Milliseconds => format!("{value:.2} ms"),
            Self::Mebibytes => format!("{value:.1} MiB"),
        }
    }
}

impl Target {
    fn is_met(self, figure: f64) -> bool {
        match self {
            Self::AtLeast(least) => figure >= least,
            Self::AtMost(most) => figure <= most,
        }
    }

    fn shown(self, unit: Unit) -> String {
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

    /// How much better than wanted: 1 is just met.
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

/// Least, median and greatest.
pub(crate) struct Spread {
    pub(crate) least: f64,
    pub(crate) median: f64,
    pub(crate) greatest: f64,
}

/// Of values in any order; `None` of none.
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

/// The value below which so many hundredths of the values lie.
pub(crate) fn percentile(mut values: Vec<f64>, hundredths: usize) -> Result<f64, String> {
    values.sort_by(f64::total_cmp);
    let at = (values.len() * hundredths / 100).min(values.len().saturating_sub(1));
    values.get(at).copied().ok_or_else(|| "nothing was measured".to_owned())
}

impl Figure {
    /// Its figures over the rounds.
    pub(crate) fn spread(&self) -> Option<Spread> {
        let rounds = &self.outcome.as_ref().ok()?.rounds;
        spread(rounds.iter().filter_map(|round| self.unit.figure(*round)).collect())
    }

    /// Whether it is what it has to be; `None` if it is not known.
    pub(crate) fn is_met(&self) -> Option<bool> {
        self.spread().map(|spread| self.target.is_met(spread.median))
    }

    /// A row of the table.
    pub(crate) fn row(&self) -> String {
        let Self { what, target, unit, outcome, .. } = self;
        let wanted = target.shown(*unit);
        match (outcome, self.spread()) {
            (Ok(measured), Some(Spread { least, median, greatest })) => {
                let sides = if unit.is_ratio() { measured.sides(*unit) } else { String::new() };
                let note = [sides.as_str(), measured.note.as_str()];
                let note: Vec<_> = note.into_iter().filter(|text| !text.is_empty()).collect();
                format!(
                    "| {what} | {wanted} | {} | {} – {} | {} | {} |",
                    unit.shown(median),
                    unit.shown(least),
                    unit.shown(greatest),
                    if target.is_met(median) { "yes" } else { "**no**" },
                    note.join("; "),
                )
            }
            (Ok(_), None) => {
                format!("| {what} | {wanted} | | | **not measured** | no round came to a figure |")
            }
            (Err(why), _) => {
                let why = why.replace(['|', '\n'], " ");
                format!("| {what} | {wanted} | | | **not measured** | {why} |")
            }
        }
    }

    /// All that is known of it.
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
    /// The medians of both sides.
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
