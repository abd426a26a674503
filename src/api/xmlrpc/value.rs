//! A value of XML-RPC, and ways to look into one.
//!
//! Example: `Value::from("web").as_str()` is `Some("web")`.

/// A value as it travels.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `int`, `i4`, `i8`: written within 32 bits, the nearest that fits.
    Int(i64),
    /// `boolean`.
    Bool(bool),
    /// `string`, a value without a type, and what a `base64` holds as text.
    Text(String),
    /// `double`.
    Double(f64),
    /// `dateTime.iso8601`, as it was written.
    Time(String),
    /// `nil`: read, and written as clients write it; supervisord never answers with it.
    Nil,
    /// `array`.
    Array(Vec<Value>),
    /// `struct`: its members in their order.
    Struct(Vec<(String, Value)>),
}

impl Value {
    /// Returns the text of a string.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Returns a whole number.
    #[must_use]
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Value::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// Returns a truth value.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Bool(truth) => Some(*truth),
            _ => None,
        }
    }

    /// Returns the items of an array.
    #[must_use]
    pub fn as_array(&self) -> Option<&[Value]> {
        match self {
            Value::Array(items) => Some(items),
            _ => None,
        }
    }

    /// Returns a member of a struct; of several with one name the last, as Python does.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<&Value> {
        match self {
            Value::Struct(members) => {
                members.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value)
            }
            _ => None,
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::Text(text)
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Value {
        Value::Bool(truth)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Value {
        Value::Int(number)
    }
}

impl From<i32> for Value {
    fn from(number: i32) -> Value {
        Value::Int(i64::from(number))
    }
}

impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(items: Vec<T>) -> Value {
        Value::Array(items.into_iter().map(Into::into).collect())
    }
}

impl<const N: usize> From<[(&str, Value); N]> for Value {
    /// Makes a struct of its members.
    fn from(members: [(&str, Value); N]) -> Value {
        Value::Struct(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_looked_into_by_its_type() {
        let value = Value::from([("a", 1.into()), ("a", 2.into()), ("b", "x".into())]);
        assert_eq!(value.member("a").and_then(Value::as_int), Some(2));
        assert_eq!(value.member("b").and_then(Value::as_str), Some("x"));
        assert_eq!((value.member("c"), value.as_str(), value.as_array()), (None, None, None));
        assert_eq!(Value::from(vec![true]).as_array(), Some(&[Value::Bool(true)][..]));
        assert_eq!((Value::from("1").as_int(), Value::from(true).as_bool()), (None, Some(true)));
    }
}
