//! Anything as a call and as a response: nothing panics, and what was understood stays the same when it is written and
//! read again. Writing alone changes it, for characters that XML cannot carry are replaced.
#![no_main]

use libfuzzer_sys::fuzz_target;
use visor::api::xmlrpc::{Limits, read_call, read_response, write_call, write_response};

fuzz_target!(|data: &[u8]| {
    if let Ok(call) = read_call(data, Limits::REQUEST) {
        let written = write_call(&call.method, &call.params);
        let again = read_call(&written, Limits::RESPONSE).expect("our own call");
        assert_eq!(write_call(&again.method, &again.params), written);
    }
    if let Ok(response) = read_response(data, Limits::REQUEST) {
        let written = write_response(&response);
        let again = read_response(&written, Limits::RESPONSE).expect("our own response");
        assert_eq!(write_response(&again), written);
    }
});
