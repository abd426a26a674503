//! Values to bytes, laid out as Python's `xmlrpc.client` does.
//!
//! Example: `write_response(&Ok("3.0".into()))` is what `supervisor.getAPIVersion` answers.

use super::{Fault, Value};
use std::fmt::Write as _;

const DECLARATION: &str = "<?xml version='1.0'?>\n";

/// Returns a call, for a client to send.
#[must_use]
pub fn write_call(method: &str, params: &[Value]) -> Vec<u8> {
    let mut out = format!("{DECLARATION}<methodCall>\n<methodName>");
    escape(method, &mut out);
    out.push_str("</methodName>\n");
    write_params(params, &mut out);
    out.push_str("</methodCall>\n");
    out.into_bytes()
}

/// Returns a response, for a server to send.
#[must_use]
pub fn write_response(result: &Result<Value, Fault>) -> Vec<u8> {
    let mut out = format!("{DECLARATION}<methodResponse>\n");
    match result {
        Ok(value) => write_params(std::slice::from_ref(value), &mut out),
        Err(fault) => {
            out.push_str("<fault>\n");
            let members = [("faultCode", fault.code.into()), ("faultString", fault.text.as_str().into())];
            write_value(&Value::from(members), &mut out);
            out.push_str("</fault>\n");
        }
    }
    out.push_str("</methodResponse>\n");
    out.into_bytes()
}

fn write_params(params: &[Value], out: &mut String) {
    out.push_str("<params>\n");
    for param in params {
        out.push_str("<param>\n");
        write_value(param, out);
        out.push_str("</param>\n");
    }
    out.push_str("</params>\n");
}

/// Writes a value. It calls itself as deep as the value is: what was read is bounded by [`super::DEPTH_MAX`], and
/// what we make ourselves is four deep at most.
fn write_value(value: &Value, out: &mut String) {
    out.push_str("<value>");
    match value {
        Value::Int(number) => {
            let number = (*number).clamp(i64::from(i32::MIN), i64::from(i32::MAX));
            // Writing to a string cannot fail.
            let _ = write!(out, "<int>{number}</int>");
        }
        Value::Bool(truth) => {
            let _ = write!(out, "<boolean>{}</boolean>", u8::from(*truth));
        }
        Value::Double(number) => {
            let _ = write!(out, "<double>{number:?}</double>");
        }
        Value::Text(text) => write_scalar("string", text, out),
        Value::Time(text) => write_scalar("dateTime.iso8601", text, out),
        Value::Nil => out.push_str("<nil/>"),
        Value::Array(items) => {
            out.push_str("<array><data>\n");
            items.iter().for_each(|item| write_value(item, out));
            out.push_str("</data></array>");
        }
        Value::Struct(members) => {
            out.push_str("<struct>\n");
            for (name, value) in members {
                out.push_str("<member>\n<name>");
                escape(name, out);
                out.push_str("</name>\n");
                write_value(value, out);
                out.push_str("</member>\n");
            }
            out.push_str("</struct>");
        }
    }
    out.push_str("</value>\n");
}

fn write_scalar(tag: &str, text: &str, out: &mut String) {
    let _ = write!(out, "<{tag}>");
    escape(text, out);
    let _ = write!(out, "</{tag}>");
}

/// Writes text: three characters are escaped, a carriage return too (a reader would make a line feed of it), and
/// what XML 1.0 cannot carry becomes U+FFFD.
fn escape(text: &str, out: &mut String) {
    out.reserve(text.len());
    for char in text.chars() {
        match char {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\r' => out.push_str("&#13;"),
            '\t' | '\n' => out.push(char),
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => out.push(char::REPLACEMENT_CHARACTER),
            _ => out.push(char),
        }
    }
}
