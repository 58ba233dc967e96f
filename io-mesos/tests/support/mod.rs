//! What several test files need.
#![allow(dead_code, reason = "each test file uses a part of it")]

pub(crate) mod capture;
pub(crate) mod master;
pub(crate) mod normal;

/// The body of a chunked HTTP response, as far as it was received.
pub(crate) fn dechunk(raw: &[u8]) -> Result<Vec<u8>, String> {
    let head_end = find(raw, b"\r\n\r\n").ok_or("no end of the head")? + 4;
    let mut rest = &raw[head_end..];
    let mut body = Vec::new();
    while let Some(end) = find(rest, b"\r\n") {
        let size = std::str::from_utf8(&rest[..end]).map_err(|error| error.to_string())?;
        let size =
            usize::from_str_radix(size, 16).map_err(|error| format!("chunk size {size:?}: {error}"))?;
        let chunk = &rest[end + 2..];
        if size == 0 || chunk.len() < size + 2 {
            body.extend_from_slice(&chunk[..size.min(chunk.len())]);
            break;
        }
        body.extend_from_slice(&chunk[..size]);
        rest = &chunk[size + 2..];
    }
    Ok(body)
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
