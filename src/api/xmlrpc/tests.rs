//! What both sides must agree on, and what strangers may send.

use super::*;
use proptest::prelude::*;

fn call(params: &str) -> Result<Call, XmlError> {
    let text = format!("<methodCall><methodName>m</methodName><params>{params}</params></methodCall>");
    read_call(text.as_bytes(), Limits::REQUEST)
}

fn param(value: &str) -> Result<Value, XmlError> {
    call(&format!("<param><value>{value}</value></param>")).map(|call| call.params[0].clone())
}

#[test]
fn a_response_is_laid_out_as_pythons() {
    let state = Value::from([("statecode", 1.into()), ("statename", "RUNNING".into())]);
    let expected = "<?xml version='1.0'?>\n<methodResponse>\n<params>\n<param>\n<value><struct>\n<member>\n\
        <name>statecode</name>\n<value><int>1</int></value>\n</member>\n<member>\n<name>statename</name>\n\
        <value><string>RUNNING</string></value>\n</member>\n</struct></value>\n</param>\n</params>\n\
        </methodResponse>\n";
    assert_eq!(String::from_utf8(write_response(&Ok(state))).as_deref(), Ok(expected));
}

#[test]
fn a_fault_is_laid_out_as_pythons() {
    let expected = "<?xml version='1.0'?>\n<methodResponse>\n<fault>\n<value><struct>\n<member>\n\
        <name>faultCode</name>\n<value><int>10</int></value>\n</member>\n<member>\n<name>faultString</name>\n\
        <value><string>BAD_NAME: nope</string></value>\n</member>\n</struct></value>\n</fault>\n\
        </methodResponse>\n";
    let fault = Fault::new(Code::BadName, "nope");
    assert_eq!(String::from_utf8(write_response(&Err(fault.clone()))).as_deref(), Ok(expected));
    assert_eq!(read_response(expected.as_bytes(), Limits::RESPONSE), Ok(Err(fault)));
}

#[test]
fn a_call_is_laid_out_as_pythons() {
    let params = [Value::Array(vec![]), Value::Double(1.0), Value::Nil, true.into()];
    let expected = "<?xml version='1.0'?>\n<methodCall>\n<methodName>a.b</methodName>\n<params>\n<param>\n\
        <value><array><data>\n</data></array></value>\n</param>\n<param>\n<value><double>1.0</double></value>\n\
        </param>\n<param>\n<value><nil/></value>\n</param>\n<param>\n<value><boolean>1</boolean></value>\n\
        </param>\n</params>\n</methodCall>\n";
    assert_eq!(String::from_utf8(write_call("a.b", &params)).as_deref(), Ok(expected));
}

#[test]
fn what_xml_cannot_carry_is_replaced_and_a_carriage_return_survives() {
    let text: String =
        (0..0x20_u8).map(char::from).chain("\u{7f}\u{85}\u{fffe}\u{ffff}ä<&>".chars()).collect();
    let read = read_response(&write_response(&Ok(text.as_str().into())), Limits::RESPONSE);
    let expected: String = text
        .chars()
        .map(|c| match c {
            '\t' | '\n' | '\r' => c,
            '\0'..'\u{20}' | '\u{fffe}' | '\u{ffff}' => '\u{fffd}',
            _ => c,
        })
        .collect();
    assert_eq!(read, Ok(Ok(expected.into())));
}

#[test]
fn numbers_are_written_within_32_bits() {
    for (number, written) in [(1_i64 << 40, i32::MAX), (-(1 << 40), i32::MIN), (5, 5)] {
        let read = read_response(&write_response(&Ok(number.into())), Limits::RESPONSE);
        assert_eq!(read, Ok(Ok(written.into())));
    }
}

#[test]
fn every_type_is_read() {
    for (text, expected) in [
        ("<int>-3</int>", Value::Int(-3)),
        ("<i4> +3 </i4>", Value::Int(3)),
        ("<i8>99999999999999999999</i8>", Value::Int(i64::MAX)),
        ("<boolean>1</boolean>", Value::Bool(true)),
        ("<boolean>yes</boolean>", Value::Bool(false)),
        ("<string>a &amp;&lt;&gt;&quot;&apos;&#228;&#xe4;</string>", "a &<>\"'ää".into()),
        ("<string/>", "".into()),
        ("", "".into()),
        (" untyped ", " untyped ".into()),
        ("<string><![CDATA[<a>]]></string>", "<a>".into()),
        ("<string>a<!-- no -->b\r\nc\rd</string>", "ab\nc\nd".into()),
        ("<double>1.5</double>", Value::Double(1.5)),
        ("<dateTime.iso8601>20261120T07:33:56</dateTime.iso8601>", Value::Time("20261120T07:33:56".into())),
        ("<base64>\nw6Ri\n</base64>", "äb".into()),
        ("<nil/>", Value::Nil),
        ("<array><data><value>a</value> <value><int>1</int></value></data></array>", {
            Value::Array(vec!["a".into(), 1.into()])
        }),
        ("\n<struct>\n<member><name>n</name><value>v</value></member>\n</struct>\n", {
            Value::from([("n", "v".into())])
        }),
    ] {
        assert_eq!(param(text), Ok(expected), "{text}");
    }
}

#[test]
fn a_call_needs_a_method_and_no_parameters() {
    let read = |text: &str| read_call(text.as_bytes(), Limits::REQUEST);
    let bare = read(
        "\u{feff}<?xml version='1.0' encoding='latin-1'?><methodCall><methodName>a</methodName></methodCall>\n",
    );
    assert_eq!(bare, Ok(Call { method: "a".into(), params: vec![] }));
    for text in [
        "",
        "x",
        "<methodCall></methodCall>",
        "<methodCall><methodName/></methodCall>",
        "<methodCall><methodName>a</methodName>",
        "<methodCall><methodName>a</methodCall></methodName>",
        "<methodCall><methodName>a</methodName></methodCall><methodCall/>",
        "<methodCall><methodName>a</methodName></methodCall>x",
        "<methodCall><methodName>a</methodName><params>x</params></methodCall>",
        "<methodCall><methodName>a</methodName><params><param/></params></methodCall>",
        "<methodResponse><params><param><value>a</value></param></params></methodResponse>",
        "<value/>",
        "</methodCall>",
    ] {
        assert!(matches!(read(text), Err(XmlError::Malformed(_))), "{text}: {:?}", read(text));
    }
    assert!(read_call(b"<methodCall><methodName>\xff</methodName></methodCall>", Limits::REQUEST).is_err());
}

#[test]
fn values_that_are_not_what_they_say_are_refused() {
    for text in [
        "<int>1.5</int>",
        "<int/>",
        "<int>x</int>",
        "<double>x</double>",
        "<base64>!</base64>",
        "<unknown/>",
        "<int>1</int><int>2</int>",
        "<array/><array/>",
        "<struct><member><name>a</name></member></struct>",
        "<struct><member><value>a</value></member></struct>",
        "<string>&#0;x&#xd800;</string>",
    ] {
        assert!(matches!(param(text), Err(XmlError::Malformed(_))), "{text}: {:?}", param(text));
    }
}

#[test]
fn a_document_type_and_foreign_entities_are_refused() {
    let bomb = "<!DOCTYPE l [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]><methodCall>\
        <methodName>&b;</methodName></methodCall>";
    assert_eq!(read_call(bomb.as_bytes(), Limits::REQUEST), Err(XmlError::DocType));
    assert_eq!(param("<string>&a;</string>"), Err(XmlError::Entity));
    assert_eq!(param("<string>&nbsp;</string>"), Err(XmlError::Entity));
}

#[test]
fn depth_ends_at_its_limit_and_costs_no_stack() {
    let nested = |levels: usize| {
        let (begin, end) = ("<array><data><value>".repeat(levels), "</value></data></array>".repeat(levels));
        param(&format!("{begin}{end}"))
    };
    // Four elements are open around the first array, and each level opens three.
    let most = (DEPTH_MAX - 4) / 3;
    assert!(nested(most).is_ok());
    assert_eq!(nested(most + 1), Err(XmlError::TooDeep));
    assert_eq!(nested(20_000), Err(XmlError::TooDeep));
}

#[test]
fn the_number_of_values_ends_at_its_limit() {
    let limits = Limits { bytes: 1000, values: 3 };
    let of = |count: usize| {
        let values = "<param><value/></param>".repeat(count);
        let text = format!("<methodCall><methodName>m</methodName><params>{values}</params></methodCall>");
        read_call(text.as_bytes(), limits)
    };
    assert!(of(3).is_ok());
    assert_eq!(of(4), Err(XmlError::TooMany(3)));
}

#[test]
fn the_size_ends_at_its_limit() {
    let text = b"<methodCall><methodName>m</methodName></methodCall>";
    let at = |bytes| read_call(text, Limits { bytes, values: 1 });
    assert!(at(text.len()).is_ok());
    assert_eq!(at(text.len() - 1), Err(XmlError::TooLarge(text.len() - 1)));
}

/// Returns any value that can be written and read again.
fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<i32>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        "[ -~\n\räöü€]{0,12}".prop_map(Value::from),
        (-1e9..1e9).prop_map(Value::Double),
        Just(Value::Nil),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            proptest::collection::vec(("[a-z]{0,4}", inner), 0..4).prop_map(Value::Struct),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(params in proptest::collection::vec(any_value(), 0..4)) {
        let read = read_call(&write_call("a.b", &params), Limits::REQUEST);
        prop_assert_eq!(read, Ok(Call { method: "a.b".into(), params: params.clone() }));
        for value in params {
            prop_assert_eq!(read_response(&write_response(&Ok(value.clone())), Limits::RESPONSE), Ok(Ok(value)));
        }
    }

    #[test]
    fn garbage_never_panics(bytes in any::<Vec<u8>>(), at in 0_usize..400, cut in 0_usize..400) {
        drop(read_call(&bytes, Limits::REQUEST));
        // A good message with garbage somewhere in it comes further than garbage alone.
        let good = write_call("a.b", &[Value::from([("n", vec!["v", "w"].into())]), Value::Double(0.5)]);
        let mut bad = good[..at.min(good.len())].to_vec();
        bad.extend(bytes);
        bad.extend(&good[cut.min(good.len())..]);
        drop(read_call(&bad, Limits::REQUEST));
        drop(read_response(&bad, Limits::RESPONSE));
    }
}
