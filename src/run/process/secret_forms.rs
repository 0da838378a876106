//! Forms in which programs print a secret: in JSON, in URLs, quoted for a shell or Python, in XML, in hexadecimal and Base64.
//! Each is masked like the secret itself.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode, utf8_percent_encode};

use crate::fs::encode_base64_url;

/// Shorter values have encoded forms that are too short to be told from other text.
const MIN_ENCODED_SECRET_LEN: usize = 8;

/// Characters that URLs contain as they are; programs differ in which others they keep.
const URL_UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// The same with `/`, which many programs keep.
const URL_PATH: &AsciiSet = &URL_UNRESERVED.remove(b'/');

/// The characters that JavaScript's `encodeURIComponent` keeps.
const URL_COMPONENT: &AsciiSet = &URL_UNRESERVED.remove(b'!').remove(b'\'').remove(b'(').remove(b')').remove(b'*');
/// The characters that Java's `URLEncoder` keeps.
const URL_FORM: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'*');

/// Returns the forms in which programs print a value: in JSON, in a URL, quoted for a shell, in Base64 wherever it begins.
pub(super) fn encoded_forms(secret: &[u8]) -> Vec<Vec<u8>> {
    let mut forms: Vec<String> = Vec::new();
    if let Ok(text) = std::str::from_utf8(secret) {
        forms.extend(json_forms(text));
        forms.extend(shell_forms(text));
        forms.extend(python_forms(text));
        forms.extend(xml_forms(text));
        for set in [URL_UNRESERVED, URL_PATH, URL_COMPONENT, URL_FORM] {
            let encoded = utf8_percent_encode(text, set).to_string();
            for form in [lower_case_escapes(&encoded), encoded] {
                forms.push(form.replace("%20", "+"));
                forms.push(form);
            }
        }
    }
    if std::str::from_utf8(secret).is_err() {
        forms.push(surrogate_form(secret));
        forms.push(percent_encode(secret, URL_UNRESERVED).to_string());
    }
    let digits: Vec<String> = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    for separated in [" ", ":"].map(|separator| digits.join(separator)) {
        forms.extend([separated.to_uppercase(), separated]);
    }
    let forms = forms.into_iter().map(String::into_bytes).chain(binary_forms(secret));
    forms.filter(|form| form != secret).collect()
}

/// Returns a value in hexadecimal, and in Base64 wherever it begins.
pub(super) fn binary_forms(secret: &[u8]) -> Vec<Vec<u8>> {
    let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut forms = vec![hex.to_uppercase(), hex];
    for skipped in 0..3 {
        // Three bytes become four characters; what is next to the value changes only the groups at its ends.
        let groups = &secret[skipped..];
        let url_safe = encode_base64_url(&groups[..groups.len() / 3 * 3]);
        if url_safe.len() >= MIN_ENCODED_SECRET_LEN {
            forms.push(url_safe.replace('-', "+").replace('_', "/"));
            forms.push(url_safe);
        }
    }
    forms.into_iter().map(String::into_bytes).collect()
}

/// Returns a value as JSON libraries print it, and each form once more in a JSON string.
fn json_forms(text: &str) -> Vec<String> {
    let is_markup = |c: char| matches!(c, '<' | '>' | '&');
    let is_net = |c: char| is_markup(c) || matches!(c, '\'' | '"' | '+' | '`');
    let mut forms = vec![
        json_form(text, &|_| false),
        // Python and PHP, Jackson.
        json_form(text, &|c| !c.is_ascii()),
        json_form(text, &|c| !c.is_ascii()).replace('/', r"\/"),
        // Go, Gson, .NET.
        json_form(text, &is_markup),
        json_form(text, &|c| !c.is_ascii() || is_markup(c)),
        json_form(text, &|c| is_markup(c) || matches!(c, '\'' | '=')),
        json_form(text, &|c| !c.is_ascii() || is_net(c)),
    ];
    let upper: Vec<String> = forms.iter().map(|form| upper_case_unicode(form)).collect();
    forms.extend(upper);
    let nested: Vec<String> = forms.iter().map(|form| form.replace('\\', r"\\").replace('"', "\\\"")).collect();
    forms.extend(nested);
    forms
}

/// Returns a value as JSON, with escapes in UTF-16 for some characters.
fn json_form(text: &str, is_escaped: &dyn Fn(char) -> bool) -> String {
    let json = |c: char| {
        let quoted = serde_json::to_string(&c).unwrap_or_default();
        quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default().to_owned()
    };
    text.chars().map(|c| if is_escaped(c) { unicode_escape(c) } else { json(c) }).collect()
}

/// Returns a JSON form with upper-case digits in its escapes.
fn upper_case_unicode(form: &str) -> String {
    let mut parts = form.split("\\u");
    let first = parts.next().unwrap_or_default().to_owned();
    let upper = |part: &str| {
        let digits = part.floor_char_boundary(4);
        format!("\\u{}{}", part[..digits].to_uppercase(), &part[digits..])
    };
    parts.fold(first, |text, part| text + &upper(part))
}

/// Returns the escapes of a character in UTF-16, such as `\u00e4`.
fn unicode_escape(character: char) -> String {
    character.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect()
}

/// Returns a value as shells quote it: `'"'"'` (Python's shlex), `'\''` (`set -x`), backslashes (`printf %q`), in double quotes
/// (`declare -p`), and with octal escapes (`$'…'`).
fn shell_forms(text: &str) -> Vec<String> {
    let quote = |plain: &str| -> String {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || plain.contains(c) || !c.is_ascii();
        text.chars().map(|c| if is_plain(c) { c.to_string() } else { format!("\\{c}") }).collect()
    };
    let is_special = |c: char| matches!(c, '"' | '$' | '`' | '\\');
    let declared = text.chars().map(|c| if is_special(c) { format!("\\{c}") } else { c.to_string() }).collect();
    let octal = |byte: u8| match byte {
        b'\'' | b'\\' => format!("\\{}", char::from(byte)),
        0x80.. => format!("\\{byte:03o}"),
        _ => char::from(byte).to_string(),
    };
    vec![
        text.replace('\'', r#"'"'"'"#),
        text.replace('\'', r"'\''"),
        quote("_-./:@%+="),
        quote("_-./:@%+=~"),
        declared,
        text.bytes().map(octal).collect(),
    ]
}

/// Returns a value as Python's `repr` and `ascii` print it, and as `repr` prints its bytes.
fn python_forms(text: &str) -> Vec<String> {
    let quoted = text.replace('\\', r"\\").replace('\'', r"\'");
    let ascii = |text: &str| -> String {
        let escape = |c: char| match u32::from(c) {
            code @ 0x80..0x100 => format!("\\x{code:02x}"),
            code @ 0x100..0x1_0000 => format!("\\u{code:04x}"),
            code @ 0x1_0000.. => format!("\\U{code:08x}"),
            _ => c.to_string(),
        };
        text.chars().map(escape).collect()
    };
    let bytes = |text: &str| -> String {
        let escape = |byte: u8| if byte.is_ascii() { char::from(byte).to_string() } else { format!("\\x{byte:02x}") };
        text.bytes().map(escape).collect()
    };
    // `repr` escapes a single quote only if there is a double quote too; otherwise only backslashes.
    let backslashes = text.replace('\\', r"\\");
    let texts = [&quoted, &backslashes];
    let mut forms: Vec<String> = texts.iter().flat_map(|text| [ascii(text), bytes(text)]).collect();
    forms.extend([quoted.clone(), backslashes]);
    forms
}

/// Returns a value that is not UTF-8 as Python's `repr` and JSON print it: with a surrogate for each other byte.
fn surrogate_form(secret: &[u8]) -> String {
    let chunk = |chunk: std::str::Utf8Chunk<'_>| {
        let invalid: String = chunk.invalid().iter().map(|byte| format!("\\udc{byte:02x}")).collect();
        format!("{}{invalid}", chunk.valid())
    };
    secret.utf8_chunks().map(chunk).collect()
}

/// Returns a value as XML and HTML have it in text and in attributes.
fn xml_forms(text: &str) -> Vec<String> {
    let markup = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let attributes = ["&quot;", "&#34;"].map(|quote| markup.replace('"', quote));
    let quote = |text: &String| ["&#x27;", "&#39;", "&apos;"].map(|quote| text.replace('\'', quote));
    let quoted: Vec<String> = attributes.iter().flat_map(quote).collect();
    let forms: Vec<String> = [markup].into_iter().chain(attributes).chain(quoted).collect();
    // In attributes, XML libraries write tabs and line ends as references.
    let references = [["&#9;", "&#10;", "&#13;"], ["&#x9;", "&#xA;", "&#xD;"], ["&#x09;", "&#x0A;", "&#x0D;"]];
    let spaces = forms.iter().flat_map(|form| {
        references.map(|[tab, feed, ret]| form.replace('\t', tab).replace('\n', feed).replace('\r', ret))
    });
    let spaces: Vec<String> = if text.contains(['\t', '\n', '\r']) { spaces.collect() } else { Vec::new() };
    forms.into_iter().chain(spaces).collect()
}

/// Returns percent escapes with hexadecimal digits in lower case.
fn lower_case_escapes(text: &str) -> String {
    let mut rest = 0;
    let lower = |c: char| match (c, rest) {
        ('%', _) => {
            rest = 2;
            c
        }
        (c, 1..) => {
            rest -= 1;
            c.to_ascii_lowercase()
        }
        _ => c,
    };
    text.chars().map(lower).collect()
}
