//! The parameters of a call, taken as what the method says they are.
//!
//! As lenient as Python where clients rely on it: a number may come as text, and anything is true or not.

use crate::api::xmlrpc::{Code, Fault, Value};

/// What a parameter must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A string.
    Text,
    /// A string that may be sent as a number: a signal.
    TextOrNumber,
    /// A number, or a string that is one.
    Int,
    /// Anything, true or not, and true when it is left out.
    TrueUnlessSaid,
    /// An array.
    Array,
}

/// A parameter: what it must be, its name, and what it is for.
pub(super) type Param = (Kind, &'static str, &'static str);

impl Kind {
    /// Returns the type that `system.methodSignature` tells.
    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Text | Kind::TextOrNumber => "string",
            Kind::Int => "int",
            Kind::TrueUnlessSaid => "boolean",
            Kind::Array => "array",
        }
    }

    fn take(self, value: Value) -> Option<Value> {
        match (self, value) {
            (Kind::Text | Kind::TextOrNumber, value @ Value::Text(_))
            | (Kind::Int, value @ Value::Int(_))
            | (Kind::Array, value @ Value::Array(_)) => Some(value),
            (Kind::TextOrNumber, Value::Int(number)) => Some(number.to_string().into()),
            (Kind::Int, Value::Text(text)) => text.trim().parse().ok().map(Value::Int),
            (Kind::Int, Value::Bool(truth)) => Some(i64::from(truth).into()),
            // A cast to an integer ends at the nearest that fits.
            (Kind::Int, Value::Double(number)) if number.is_finite() => Some((number as i64).into()),
            (Kind::TrueUnlessSaid, value) => Some(is_true(&value).into()),
            _ => None,
        }
    }
}

fn is_true(value: &Value) -> bool {
    match value {
        Value::Bool(truth) => *truth,
        Value::Int(number) => *number != 0,
        Value::Double(number) => *number != 0.0,
        Value::Text(text) => !text.is_empty(),
        Value::Time(_) => true,
        Value::Nil => false,
        Value::Array(items) => !items.is_empty(),
        Value::Struct(members) => !members.is_empty(),
    }
}

/// The parameters of a call, as its method wants them.
pub(super) struct Params(Vec<Value>);

/// Takes what was sent as what is wanted.
pub(super) fn bind(wanted: &[Param], sent: Vec<Value>) -> Result<Params, Fault> {
    let least = wanted.iter().filter(|param| param.0 != Kind::TrueUnlessSaid).count();
    if sent.len() < least || sent.len() > wanted.len() {
        return Err(Code::IncorrectParameters.into());
    }
    let mut bound = Vec::with_capacity(wanted.len());
    let mut sent = sent.into_iter();
    for (kind, name, _) in wanted {
        let value = sent.next().unwrap_or(Value::Bool(true));
        let wrong = || Fault::new(Code::IncorrectParameters, format!("{name} is no {}", kind.name()));
        bound.push(kind.take(value).ok_or_else(wrong)?);
    }
    Ok(Params(bound))
}

impl Params {
    /// Returns a [`Kind::Text`] by its place.
    pub(super) fn text(&self, at: usize) -> &str {
        self.0.get(at).and_then(Value::as_str).unwrap_or_default()
    }

    /// Returns a [`Kind::Int`] by its place.
    pub(super) fn int(&self, at: usize) -> i64 {
        self.0.get(at).and_then(Value::as_int).unwrap_or_default()
    }

    /// Returns a [`Kind::TrueUnlessSaid`] by its place.
    pub(super) fn truth(&self, at: usize) -> bool {
        self.0.get(at).and_then(Value::as_bool).unwrap_or(true)
    }

    /// Returns a [`Kind::Array`] by its place.
    pub(super) fn items(&self, at: usize) -> &[Value] {
        self.0.get(at).and_then(Value::as_array).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WANTED: [Param; 3] =
        [(Kind::Text, "name", ""), (Kind::Int, "offset", ""), (Kind::TrueUnlessSaid, "wait", "")];

    #[test]
    fn too_few_and_too_many_are_refused_and_wait_may_be_left_out() {
        let of = |sent: Vec<Value>| bind(&WANTED, sent).map(|params| params.truth(2));
        assert_eq!(of(vec!["web".into(), 1.into()]), Ok(true));
        assert_eq!(of(vec!["web".into(), 1.into(), false.into()]), Ok(false));
        assert_eq!(of(vec!["web".into()]).map_err(|fault| fault.code), Err(2));
        assert_eq!(of(vec!["web".into(); 4]).map_err(|fault| fault.code), Err(2));
    }

    #[test]
    fn a_number_may_come_as_text_and_a_name_may_not_come_as_a_number() {
        for (value, expected) in [
            (Value::from(5), Ok(5)),
            ("5".into(), Ok(5)),
            (" -5 ".into(), Ok(-5)),
            (true.into(), Ok(1)),
            (Value::Double(1e300), Ok(i64::MAX)),
            ("abc".into(), Err(2)),
            (Value::Double(f64::NAN), Err(2)),
            (Value::Nil, Err(2)),
        ] {
            let bound = bind(&WANTED, vec!["web".into(), value.clone()]);
            assert_eq!(bound.map(|params| params.int(1)).map_err(|fault| fault.code), expected, "{value:?}");
        }
        assert_eq!(bind(&WANTED, vec![5.into(), 5.into()]).map(|_| ()).map_err(|fault| fault.code), Err(2));
        let signal = bind(&[(Kind::TextOrNumber, "signal", "")], vec![1.into()]);
        assert_eq!(signal.map(|params| params.text(0).to_owned()), Ok("1".to_owned()));
    }

    #[test]
    fn anything_is_true_or_not_as_in_python() {
        for (value, expected) in [
            (Value::from(0), false),
            (2.into(), true),
            ("".into(), false),
            ("False".into(), true),
            (Value::Nil, false),
            (Value::Array(vec![]), false),
            (Value::Double(0.0), false),
        ] {
            let bound = bind(&WANTED, vec!["web".into(), 1.into(), value.clone()]);
            assert_eq!(bound.map(|params| params.truth(2)), Ok(expected), "{value:?}");
        }
    }
}
