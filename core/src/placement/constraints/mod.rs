//! Placement constraints: whether a copy of a pod may run on an agent, given where the other copies are.
//!
//! ```text
//!   definition ─ compile ─► Constraints ─┬─ check_agent(agent)                  does not depend on other copies
//!                                │       └─ check(agent, placed, wanted)        the whole
//!                             counts()                    ▲
//!                                ▼                        │
//!                          PlacedCounts ──────────────────┘
//!                            ▲      ▲
//!           a copy is placed add    remove it is gone
//! ```
//!
//! The cost of a check does not grow with the number of copies: [`PlacedCounts`] keeps, for each constrained
//! field, how many copies there are on each of its values, and is kept up to date copy by copy.
//!
//! | operator | holds if |
//! |---|---|
//! | `UNIQUE` | no copy is on the agent's value |
//! | `CLUSTER` v | the agent's value is v |
//! | `CLUSTER` | there is no copy, or the agent's value is the one with most copies |
//! | `GROUP_BY` n | the copies remain spread evenly over at most n values |
//! | `GROUP_BY` | no value has fewer copies, of those that have any |
//! | `LIKE`, `UNLIKE` | the whole of the agent's value matches, does not match |
//! | `MAX_PER` n | fewer than n copies are on the agent's value |
//! | `IS` v | the agent's value is v; numbers are compared as numbers |
//!
//! An agent that lacks the field satisfies `UNLIKE` only.

mod counts;

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;

pub(crate) use counts::{PlacedCounts, holds_place};

use crate::model::instance::AgentInfo;
use crate::model::mesos::AttributeValue;
use crate::model::number::Scalar;
use crate::model::pod::{Constraint, ConstraintOperator};
use crate::model::regex::JavaRegex;

/// The constraints of one definition, ready to be checked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Constraints {
    constraints: Arc<[Constraint]>,
    rules: Vec<Rule>,
    /// The fields by whose values copies are counted, each once.
    counted: Arc<[Field]>,
}

/// Which constraint an agent does not satisfy, and why. [`Constraints::explain`] makes a sentence of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ConstraintRefusal {
    /// The constraint's position in the definition.
    pub(crate) index: usize,
    /// What is against it.
    pub(crate) reason: ConstraintReason,
}

/// What is against an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ConstraintReason {
    /// It lacks the field.
    NoSuchField,
    /// Its value is not the one that is asked for, or does not match.
    OtherValue,
    /// Its value matches what must not match.
    ForbiddenValue,
    /// Its value already has as many copies as are allowed.
    Full {
        /// So many.
        copies: u32,
        /// At most so many.
        limit: u32,
    },
    /// It would be one value more than the copies may be spread over.
    TooManyValues {
        /// At most so many.
        limit: u32,
    },
    /// The copies are on another value.
    Elsewhere,
    /// The constraint itself cannot be decided.
    Undecidable,
}

/// One constraint, compiled.
#[derive(Clone, Debug)]
struct Rule {
    field: Field,
    test: Test,
}

#[derive(Clone, Debug)]
enum Test {
    /// The agent's value alone decides.
    Agent(AgentTest),
    /// The copies on the agent's value decide: index into [`Constraints::counted`].
    Placed(PlacedTest, usize),
    /// What the definition says is not understood; admission refuses such constraints.
    Invalid,
}

#[derive(Clone, Debug)]
enum AgentTest {
    Equals(Expected),
    Like(JavaRegex),
    Unlike(JavaRegex),
}

#[derive(Clone, Copy, Debug)]
enum PlacedTest {
    /// `CLUSTER` without a value.
    Cluster,
    /// `GROUP_BY`, over so many values.
    GroupBy(u32),
    /// `GROUP_BY` without a number.
    GroupEvenly,
    /// `UNIQUE` and `MAX_PER`.
    MaxPer(u32),
}

/// A text that a value must be equal to; as a number, if it is one and the value is too.
#[derive(Clone, Debug)]
struct Expected {
    text: String,
    number: Option<Scalar>,
}

/// What a constraint looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    Hostname,
    Region,
    Zone,
    Attribute(String),
}

impl Constraints {
    /// Compiles what a definition says.
    pub(crate) fn compile(constraints: &[Constraint]) -> Self {
        let mut counted: Vec<Field> = Vec::new();
        let mut rule = |constraint: &Constraint| {
            let field = Field::named(&constraint.field_name);
            let mut placed = |test| {
                let index = counted.iter().position(|known| *known == field).unwrap_or_else(|| {
                    counted.push(field.clone());
                    counted.len() - 1
                });
                Test::Placed(test, index)
            };
            let value = constraint.value.as_deref();
            let regex = || JavaRegex::new(value.unwrap_or_default());
            // Anything below 0 is as good as 0: none at all.
            let number = || value?.parse::<i32>().ok().map(|number| u32::try_from(number).unwrap_or(0));
            let test = match (constraint.operator, value) {
                (ConstraintOperator::Unique, _) => placed(PlacedTest::MaxPer(1)),
                (ConstraintOperator::Cluster, None | Some("")) => placed(PlacedTest::Cluster),
                (ConstraintOperator::Cluster | ConstraintOperator::Is, _) => {
                    Test::Agent(AgentTest::Equals(Expected::new(value.unwrap_or_default())))
                }
                (ConstraintOperator::GroupBy, None) => placed(PlacedTest::GroupEvenly),
                (ConstraintOperator::GroupBy, Some(_)) => match number() {
                    Some(0) => placed(PlacedTest::GroupEvenly),
                    Some(number) => placed(PlacedTest::GroupBy(number)),
                    None => Test::Invalid,
                },
                (ConstraintOperator::MaxPer, _) => match number() {
                    Some(number) => placed(PlacedTest::MaxPer(number)),
                    None => Test::Invalid,
                },
                (ConstraintOperator::Like, _) => match regex() {
                    Ok(regex) => Test::Agent(AgentTest::Like(regex)),
                    Err(_) => Test::Invalid,
                },
                (ConstraintOperator::Unlike, _) => match regex() {
                    Ok(regex) => Test::Agent(AgentTest::Unlike(regex)),
                    Err(_) => Test::Invalid,
                },
            };
            Rule { field, test }
        };
        let rules = constraints.iter().map(&mut rule).collect();
        Self { constraints: constraints.into(), rules, counted: counted.into() }
    }

    /// Counts for copies of this definition, none of which is placed yet.
    pub(crate) fn counts(&self) -> PlacedCounts {
        PlacedCounts::new(self.counted.clone())
    }

    /// Whether some constraint depends on where other copies are.
    pub(crate) fn count_copies(&self) -> bool {
        !self.counted.is_empty()
    }

    /// Whether some constraint is about regions or zones: then the pod may leave the master's region.
    pub(crate) fn concern_fault_domains(&self) -> bool {
        self.rules.iter().any(|rule| matches!(rule.field, Field::Region | Field::Zone))
    }

    /// Whether some constraint asks for an even spread (`GROUP_BY`).
    pub(crate) fn spread_copies(&self) -> bool {
        self.rules.iter().any(Rule::spreads)
    }

    /// The values of `agent` that copies are to be spread over, constraint by constraint. The hostname comes last, which
    /// has more values than most.
    pub(crate) fn spread_values<'a>(&self, agent: &'a AgentInfo) -> Vec<Option<Cow<'a, str>>> {
        let mut spreading: Vec<&Rule> = self.rules.iter().filter(|rule| rule.spreads()).collect();
        spreading.sort_by_key(|rule| rule.field == Field::Hostname);
        spreading.into_iter().map(|rule| rule.field.of(agent).map(|value| value.text)).collect()
    }

    /// Whether one more copy may be placed on `agent`, with `placed` others of the `wanted` ones placed
    /// already.
    ///
    /// # Errors
    /// The first constraint, in the definition's order, that is against it.
    pub(crate) fn check(
        &self,
        agent: &AgentInfo,
        placed: &PlacedCounts,
        wanted: u32,
    ) -> Result<(), ConstraintRefusal> {
        self.each(agent, |test, value| match test {
            Test::Agent(test) => test.check(value),
            Test::Placed(test, index) => {
                let value = value.ok_or(ConstraintReason::NoSuchField)?;
                test.check(value, placed.of(*index), wanted)
            }
            Test::Invalid => Err(ConstraintReason::Undecidable),
        })
    }

    /// Whether a copy may ever be placed on `agent`, wherever the others are: what no launch or end of another
    /// copy can change.
    ///
    /// # Errors
    /// The first constraint, in the definition's order, that is against it.
    pub(crate) fn check_agent(&self, agent: &AgentInfo) -> Result<(), ConstraintRefusal> {
        self.each(agent, |test, value| match test {
            Test::Agent(test) => test.check(value),
            Test::Placed(PlacedTest::MaxPer(0), _) => Err(ConstraintReason::Full { copies: 0, limit: 0 }),
            Test::Placed(..) => value.map(drop).ok_or(ConstraintReason::NoSuchField),
            Test::Invalid => Err(ConstraintReason::Undecidable),
        })
    }

    fn each(
        &self,
        agent: &AgentInfo,
        check: impl Fn(&Test, Option<&Value<'_>>) -> Result<(), ConstraintReason>,
    ) -> Result<(), ConstraintRefusal> {
        for (index, rule) in self.rules.iter().enumerate() {
            let value = rule.field.of(agent);
            check(&rule.test, value.as_ref()).map_err(|reason| ConstraintRefusal { index, reason })?;
        }
        Ok(())
    }

    /// The constraint at `index` as a person would write it: `@zone UNIQUE`, `rack LIKE r[12]`.
    pub(crate) fn name(&self, index: usize) -> String {
        let Some(Constraint { field_name, operator, value }) = self.constraints.get(index) else {
            return String::new();
        };
        match value {
            Some(value) => format!("{field_name} {operator} {value}"),
            None => format!("{field_name} {operator}"),
        }
    }

    /// `refusal` of `agent` as a sentence that names field, operator, value and what the agent has.
    pub(crate) fn explain(&self, refusal: ConstraintRefusal, agent: &AgentInfo) -> String {
        let Some(rule) = self.rules.get(refusal.index) else { return String::new() };
        let field = &self.constraints[refusal.index].field_name;
        let mut text = format!("constraint {}: the agent's {field} ", self.name(refusal.index));
        if let Some(value) = rule.field.of(agent) {
            text.push_str("is '");
            text.push_str(&value.text);
            text.push('\'');
        }
        // Writing to a string cannot fail.
        let _ = match refusal.reason {
            ConstraintReason::NoSuchField => write!(text, "is not set"),
            ConstraintReason::OtherValue | ConstraintReason::ForbiddenValue => Ok(()),
            ConstraintReason::Full { limit: 0, .. } => write!(text, ", and no value may have a copy"),
            ConstraintReason::Full { copies: 1, limit: 1 } => write!(text, ", where a copy already is"),
            ConstraintReason::Full { copies, limit } => {
                write!(text, ", where {copies} of at most {limit} copies already are")
            }
            ConstraintReason::TooManyValues { limit } => {
                write!(text, ", and other copies are on as many values as they may be spread over: {limit}")
            }
            ConstraintReason::Elsewhere => write!(text, ", and the other copies are elsewhere"),
            ConstraintReason::Undecidable => write!(text, ", for which the constraint cannot be decided"),
        };
        text
    }
}

impl Rule {
    fn spreads(&self) -> bool {
        matches!(self.test, Test::Placed(PlacedTest::GroupBy(_) | PlacedTest::GroupEvenly, _))
    }
}

impl AgentTest {
    fn check(&self, value: Option<&Value<'_>>) -> Result<(), ConstraintReason> {
        let Some(value) = value else {
            return match self {
                Self::Unlike(_) => Ok(()),
                Self::Equals(_) | Self::Like(_) => Err(ConstraintReason::NoSuchField),
            };
        };
        let matches =
            |regex: &JavaRegex| regex.is_match(&value.text).map_err(|_| ConstraintReason::Undecidable);
        match self {
            Self::Equals(expected) if !expected.matches(value) => Err(ConstraintReason::OtherValue),
            Self::Like(regex) if !matches(regex)? => Err(ConstraintReason::OtherValue),
            Self::Unlike(regex) if matches(regex)? => Err(ConstraintReason::ForbiddenValue),
            Self::Equals(_) | Self::Like(_) | Self::Unlike(_) => Ok(()),
        }
    }
}

impl PlacedTest {
    fn check(
        self,
        value: &Value<'_>,
        placed: &counts::ValueCounts,
        wanted: u32,
    ) -> Result<(), ConstraintReason> {
        let copies = placed.copies_on(&value.text);
        match self {
            Self::MaxPer(limit) if copies >= limit => Err(ConstraintReason::Full { copies, limit }),
            Self::Cluster => match placed.most_common() {
                Some(most_common) if *most_common != *value.text => Err(ConstraintReason::Elsewhere),
                _ => Ok(()),
            },
            Self::GroupEvenly if copies > placed.least_copies() => {
                Err(ConstraintReason::Full { copies, limit: placed.least_copies() })
            }
            Self::GroupBy(values) => group_by(copies, placed, values, wanted),
            Self::MaxPer(_) | Self::GroupEvenly => Ok(()),
        }
    }
}

/// An even spread of `wanted` copies over `values` gives each value `wanted / values` of them, and as many
/// values as the rest of the division says one more.
fn group_by(
    copies: u32,
    placed: &counts::ValueCounts,
    values: u32,
    wanted: u32,
) -> Result<(), ConstraintReason> {
    if copies == 0 {
        return if placed.values() < values {
            Ok(())
        } else {
            Err(ConstraintReason::TooManyValues { limit: values })
        };
    }
    let (share, rest) = (wanted / values, wanted % values);
    let one_more = copies == share && placed.copies_beyond(share) < u64::from(rest);
    if copies < share || one_more {
        Ok(())
    } else {
        Err(ConstraintReason::Full { copies, limit: share + u32::from(rest > 0 && copies > share) })
    }
}

/// The value of a field.
struct Value<'a> {
    text: Cow<'a, str>,
    number: Option<Scalar>,
}

impl<'a> Value<'a> {
    fn text(text: &'a str) -> Self {
        Self { text: Cow::Borrowed(text), number: None }
    }
}

impl Field {
    fn named(name: &str) -> Self {
        match name {
            "@hostname" | "hostname" => Self::Hostname,
            "@region" => Self::Region,
            "@zone" => Self::Zone,
            name => Self::Attribute(name.to_owned()),
        }
    }

    /// The value that `agent` has. Of several attributes with one name the first counts.
    fn of<'a>(&self, agent: &'a AgentInfo) -> Option<Value<'a>> {
        match self {
            Self::Hostname => Some(Value::text(&agent.host)),
            Self::Region => agent.domain.as_ref().map(|domain| Value::text(&domain.region)),
            Self::Zone => agent.domain.as_ref().map(|domain| Value::text(&domain.zone)),
            Self::Attribute(name) => {
                let attribute = agent.attributes.iter().find(|attribute| attribute.name == *name)?;
                Some(attribute_value(&attribute.value))
            }
        }
    }
}

/// Marathon's text forms: `1.5`, `[1-2,5-9]`, `{a,b}`.
fn attribute_value(value: &AttributeValue) -> Value<'_> {
    match value {
        AttributeValue::Text(text) => Value::text(text),
        AttributeValue::Scalar(number) => {
            Value { text: Cow::Owned(number.to_string()), number: Some(*number) }
        }
        AttributeValue::Ranges(ranges) => {
            let mut ranges = ranges.clone();
            ranges.sort_unstable();
            let ranges: Vec<String> =
                ranges.iter().map(|range| format!("{}-{}", range.begin, range.end)).collect();
            Value { text: Cow::Owned(format!("[{}]", ranges.join(","))), number: None }
        }
        AttributeValue::Set(items) => {
            let mut items = items.clone();
            items.sort_unstable();
            Value { text: Cow::Owned(format!("{{{}}}", items.join(","))), number: None }
        }
    }
}

impl Expected {
    fn new(text: &str) -> Self {
        let number = text.parse::<f64>().ok().filter(|number| number.is_finite()).map(Scalar::from_f64);
        Self { text: text.to_owned(), number }
    }

    fn matches(&self, value: &Value<'_>) -> bool {
        self.text == value.text || (value.number.is_some() && self.number == value.number)
    }
}

#[cfg(test)]
mod tests;
