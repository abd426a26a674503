//! Bytes to values, within limits.
//!
//! Example: `read_call(body, Limits::REQUEST)` is what a client wants done.

use super::element::{Element, Message, malformed};
use super::{DEPTH_MAX, Fault, Limits, Value, XmlError};
use quick_xml::events::{BytesRef, Event};
use quick_xml::reader::Reader;

/// A call: a method and what it is called with.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The method's name, never empty.
    pub method: String,
    /// Its parameters.
    pub params: Vec<Value>,
}

/// Reads a call, as a server does.
///
/// # Errors
/// When it is no call, or beyond a limit.
pub fn read_call(bytes: &[u8], limits: Limits) -> Result<Call, XmlError> {
    match read(bytes, limits)? {
        Message::Call(call) => Ok(call),
        Message::Response(_) => Err(malformed("a response came instead of a call")),
    }
}

/// Reads a response, as a client does: a value, or the fault that came instead.
///
/// # Errors
/// When it is no response, or beyond a limit.
pub fn read_response(bytes: &[u8], limits: Limits) -> Result<Result<Value, Fault>, XmlError> {
    match read(bytes, limits)? {
        Message::Response(result) => Ok(result),
        Message::Call(_) => Err(malformed("a call came instead of a response")),
    }
}

fn read(bytes: &[u8], limits: Limits) -> Result<Message, XmlError> {
    if bytes.len() > limits.bytes {
        return Err(XmlError::TooLarge(limits.bytes));
    }
    // Whatever a declaration says, UTF-8 is all that XML-RPC clients send.
    let text = std::str::from_utf8(bytes).map_err(|_| malformed("the message is not UTF-8"))?;
    let mut reader = Reader::from_str(text.strip_prefix('\u{feff}').unwrap_or(text));
    reader.config_mut().expand_empty_elements = true;
    let mut open: Vec<Element> = Vec::new();
    let mut message = None;
    let mut kept = 0;
    loop {
        match reader.read_event().map_err(|why| malformed(format!("the XML is not well-formed: {why}")))? {
            Event::Start(start) => {
                if message.is_some() {
                    return Err(malformed("more than one message was sent"));
                }
                if open.len() >= DEPTH_MAX {
                    return Err(XmlError::TooDeep);
                }
                let element = Element::open(open.last(), start.name().as_ref())?;
                kept += usize::from(element.is_kept());
                if kept > limits.values {
                    return Err(XmlError::TooMany(limits.values));
                }
                open.push(element);
            }
            Event::End(_) => {
                let Some(element) = open.pop() else { return Err(malformed("an end has no begin")) };
                match open.last_mut() {
                    Some(parent) => element.close_into(parent)?,
                    None => message = Some(element.finish()?),
                }
            }
            Event::Text(text) => take_text(&mut open, &text.xml10_content())?,
            Event::CData(text) => take_text(&mut open, &text.xml10_content())?,
            Event::GeneralRef(name) => {
                let char = referred(&name)?;
                take_text(&mut open, char.encode_utf8(&mut [0; 4]))?;
            }
            Event::DocType(_) => return Err(XmlError::DocType),
            Event::Empty(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            Event::Eof => break,
        }
    }
    message.ok_or_else(|| malformed("the message ends in its middle"))
}

fn take_text(open: &mut [Element], text: &str) -> Result<(), XmlError> {
    match open.last_mut() {
        Some(element) => element.text(text),
        None if text.chars().all(|c| c.is_ascii_whitespace()) => Ok(()),
        None => Err(malformed("text stands outside of the message")),
    }
}

/// Returns the character that a reference stands for: a number, or one of XML's own five names.
fn referred(name: &BytesRef<'_>) -> Result<char, XmlError> {
    if name.is_char_ref() {
        let char = name.resolve_char_ref().ok().flatten();
        return char.ok_or_else(|| malformed("a number stands for no character"));
    }
    match &*name.xml10_content() {
        "amp" => Ok('&'),
        "lt" => Ok('<'),
        "gt" => Ok('>'),
        "quot" => Ok('"'),
        "apos" => Ok('\''),
        _ => Err(XmlError::Entity),
    }
}
