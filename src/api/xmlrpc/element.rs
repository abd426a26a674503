//! The grammar: which element may stand in which, and what becomes of it at its end.
//!
//! Elements that are open are a list, not calls within calls: no message can make the reader use more stack.

use super::{Call, Fault, Value, XmlError};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_PAD_INDIFFERENT;

/// Types that hold text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scalar {
    Int,
    Boolean,
    String,
    Double,
    Time,
    Base64,
}

/// An element that is open, with what was found in it so far.
#[derive(Debug)]
pub(super) enum Element {
    Call { method: Option<String>, params: Vec<Value> },
    Response(Option<Result<Value, Fault>>),
    MethodName(String),
    Params(Vec<Value>),
    Fault(Option<Value>),
    Param(Option<Value>),
    Value { text: String, value: Option<Value> },
    Scalar(Scalar, String),
    Nil,
    Array(Vec<Value>),
    Data(Vec<Value>),
    Struct(Vec<(String, Value)>),
    Member { name: Option<String>, value: Option<Value> },
    Name(String),
}

/// What a message is.
#[derive(Debug)]
pub(super) enum Message {
    Call(Call),
    Response(Result<Value, Fault>),
}

pub(super) fn malformed(how: impl Into<String>) -> XmlError {
    XmlError::Malformed(how.into())
}

impl Element {
    /// Opens an element within another, or as the first.
    pub(super) fn open(parent: Option<&Element>, tag: &str) -> Result<Element, XmlError> {
        let scalar = |kind| Ok(Element::Scalar(kind, String::new()));
        match (parent, tag) {
            (None, "methodCall") => Ok(Element::Call { method: None, params: Vec::new() }),
            (None, "methodResponse") => Ok(Element::Response(None)),
            (Some(Element::Call { method: None, .. }), "methodName") => {
                Ok(Element::MethodName(String::new()))
            }
            (Some(Element::Call { .. } | Element::Response(None)), "params") => {
                Ok(Element::Params(Vec::new()))
            }
            (Some(Element::Response(None)), "fault") => Ok(Element::Fault(None)),
            (Some(Element::Params(_)), "param") => Ok(Element::Param(None)),
            (
                Some(
                    Element::Param(None)
                    | Element::Fault(None)
                    | Element::Data(_)
                    | Element::Member { value: None, .. },
                ),
                "value",
            ) => Ok(Element::Value { text: String::new(), value: None }),
            (Some(Element::Value { value: None, .. }), _) => match tag {
                "int" | "i4" | "i8" => scalar(Scalar::Int),
                "boolean" => scalar(Scalar::Boolean),
                "string" => scalar(Scalar::String),
                "double" => scalar(Scalar::Double),
                "dateTime.iso8601" => scalar(Scalar::Time),
                "base64" => scalar(Scalar::Base64),
                "nil" => Ok(Element::Nil),
                "array" => Ok(Element::Array(Vec::new())),
                "struct" => Ok(Element::Struct(Vec::new())),
                _ => Err(malformed("a value has an unknown type")),
            },
            (Some(Element::Array(_)), "data") => Ok(Element::Data(Vec::new())),
            (Some(Element::Struct(_)), "member") => Ok(Element::Member { name: None, value: None }),
            (Some(Element::Member { name: None, .. }), "name") => Ok(Element::Name(String::new())),
            _ => Err(malformed("an element stands where XML-RPC has none of its name")),
        }
    }

    /// Takes in text.
    pub(super) fn text(&mut self, more: &str) -> Result<(), XmlError> {
        match self {
            Element::MethodName(text)
            | Element::Scalar(_, text)
            | Element::Name(text)
            | Element::Value { text, value: None } => text.push_str(more),
            _ if more.chars().all(|c| c.is_ascii_whitespace()) => {}
            _ => return Err(malformed("text stands between elements")),
        }
        Ok(())
    }

    /// Whether it is kept for as long as the message is.
    pub(super) fn is_kept(&self) -> bool {
        matches!(self, Element::Value { .. } | Element::Member { .. })
    }

    /// Closes an element: what was in it goes to the one around it.
    pub(super) fn close_into(self, parent: &mut Element) -> Result<(), XmlError> {
        match (self, parent) {
            (Element::MethodName(text), Element::Call { method, .. }) => *method = Some(text),
            (Element::Params(found), Element::Call { params, .. }) => *params = found,
            (Element::Params(mut found), Element::Response(result)) => {
                let value = found.pop().filter(|_| found.is_empty());
                *result = Some(Ok(value.ok_or_else(|| malformed("a response holds one value"))?));
            }
            (Element::Fault(value), Element::Response(result)) => *result = Some(Err(fault(value)?)),
            (Element::Param(value), Element::Params(params)) => {
                params.push(value.ok_or_else(|| malformed("a parameter has no value"))?);
            }
            (Element::Value { text, value }, parent) => {
                parent.take_value(value.unwrap_or(Value::Text(text)));
            }
            (Element::Array(items), Element::Value { value, .. }) => *value = Some(Value::Array(items)),
            (Element::Data(found), Element::Array(items)) => items.extend(found),
            (Element::Struct(members), Element::Value { value, .. }) => {
                *value = Some(Value::Struct(members));
            }
            (Element::Member { name, value }, Element::Struct(members)) => {
                let both =
                    name.zip(value).ok_or_else(|| malformed("a member lacks its name or its value"))?;
                members.push(both);
            }
            (Element::Name(text), Element::Member { name, .. }) => *name = Some(text),
            (Element::Nil, Element::Value { value, .. }) => *value = Some(Value::Nil),
            (Element::Scalar(kind, text), Element::Value { value, .. }) => *value = Some(scalar(kind, text)?),
            // `open` lets nothing else in.
            _ => return Err(malformed("an element ends where it cannot")),
        }
        Ok(())
    }

    fn take_value(&mut self, new: Value) {
        match self {
            Element::Param(value) | Element::Fault(value) | Element::Member { value, .. } => {
                *value = Some(new)
            }
            Element::Data(items) => items.push(new),
            _ => {}
        }
    }

    /// Closes the outermost element.
    pub(super) fn finish(self) -> Result<Message, XmlError> {
        match self {
            Element::Call { method, params } => match method.filter(|name| !name.is_empty()) {
                Some(method) => Ok(Message::Call(Call { method, params })),
                None => Err(malformed("the call names no method")),
            },
            Element::Response(Some(result)) => Ok(Message::Response(result)),
            _ => Err(malformed("the response is empty")),
        }
    }
}

fn fault(value: Option<Value>) -> Result<Fault, XmlError> {
    let value = value.unwrap_or(Value::Nil);
    let code = value.member("faultCode").and_then(Value::as_int).and_then(|code| i32::try_from(code).ok());
    match (code, value.member("faultString").and_then(Value::as_str)) {
        (Some(code), Some(text)) => Ok(Fault { code, text: text.to_owned() }),
        _ => Err(malformed("the fault has no faultCode or no faultString")),
    }
}

fn scalar(kind: Scalar, text: String) -> Result<Value, XmlError> {
    match kind {
        Scalar::String => Ok(Value::Text(text)),
        Scalar::Time => Ok(Value::Time(text)),
        Scalar::Boolean => Ok(Value::Bool(text.trim() == "1")),
        Scalar::Int => int(text.trim()).map(Value::Int).ok_or_else(|| malformed("an int is not a number")),
        Scalar::Double => {
            text.trim().parse().map(Value::Double).map_err(|_| malformed("a double is not a number"))
        }
        Scalar::Base64 => {
            let dense: Vec<u8> = text.into_bytes().into_iter().filter(|b| !b.is_ascii_whitespace()).collect();
            let bytes =
                STANDARD_PAD_INDIFFERENT.decode(dense).map_err(|_| malformed("a base64 is not one"))?;
            Ok(Value::Text(String::from_utf8_lossy(&bytes).into_owned()))
        }
    }
}

/// Reads a whole number; one beyond 64 bits is the nearest that fits, as any limit is far below.
fn int(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(text.parse().unwrap_or(if text.starts_with('-') { i64::MIN } else { i64::MAX }))
}
