//! JUnit files of sessions' own tests, validated and rewritten as suites of the run's report.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read};

use quick_xml::events::attributes::Attribute;
use quick_xml::events::{BytesEnd, BytesRef, BytesStart, BytesText, Event};
use quick_xml::{Reader, Writer, XmlVersion};

/// Larger files are skipped: viewers load a report completely.
const MAX_FILE_BYTES: u64 = 32 << 20;

/// Suites of one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct RewrittenSuites {
    /// Well-formed `testsuite` elements.
    pub(super) xml: Vec<u8>,
    /// Number of test cases.
    pub(super) tests: usize,
    /// Number of failed cases.
    pub(super) failures: usize,
    /// Number of cases with an error.
    pub(super) errors: usize,
    /// Number of skipped cases.
    pub(super) skipped: usize,
}

/// Errors that exclude a file from the report; each completes "FILE is not in the JUnit report:".
#[derive(Debug, thiserror::Error)]
pub(super) enum JunitFileError {
    /// The file cannot be read.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The file exceeds the limit; its size in bytes.
    #[error("it is too large ({0} bytes)")]
    TooLarge(u64),
    /// The report would exceed its limit with this file.
    #[error("the report would be too large")]
    ReportTooLarge,
    /// The file is not UTF-8.
    #[error("it is not UTF-8")]
    NotUtf8,
    /// The file contains characters that XML does not allow.
    #[error("it contains characters that XML does not allow")]
    ForbiddenCharacters,
    /// The file declares a document type, which could define entities.
    #[error("it declares a document type")]
    DocumentType,
    /// The file is not well-formed.
    #[error("it is not valid XML: {0}")]
    InvalidXml(String),
}

impl JunitFileError {
    fn invalid(problem: impl std::fmt::Display) -> Self {
        Self::InvalidXml(problem.to_string())
    }
}

/// Parses a file, or returns `None` if it is XML of another kind. Suite names are prefixed with the session's name, up to
/// `max_bytes` of suites; `redact` masks secrets in texts and values of attributes.
///
/// # Errors
/// The reason why the file cannot be rewritten.
pub(super) fn rewrite_suite_file(
    file: io::Result<File>,
    session: &str,
    max_bytes: usize,
    redact: &dyn Fn(&str) -> String,
) -> Result<Option<RewrittenSuites>, JunitFileError> {
    let file = file?;
    let size = file.metadata()?.len();
    if size > MAX_FILE_BYTES {
        return Err(JunitFileError::TooLarge(size));
    }
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES).read_to_end(&mut bytes)?;
    let text = String::from_utf8(bytes).map_err(|_| JunitFileError::NotUtf8)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    if !text.chars().all(is_xml_char) {
        return Err(JunitFileError::ForbiddenCharacters);
    }
    SuiteRewriter {
        session,
        max_bytes,
        redact,
        text: String::new(),
        open_depth: 0,
        root: None,
        suite_depth: None,
        writer: Writer::new(Vec::new()),
        rewritten: RewrittenSuites::default(),
    }
    .rewrite_text(text)
}

/// Root element of a JUnit file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum JunitRoot {
    TestSuites,
    TestSuite,
}

struct SuiteRewriter<'a> {
    session: &'a str,
    /// Bytes that may be written: the name of the session is written for each suite.
    max_bytes: usize,
    redact: &'a dyn Fn(&str) -> String,
    /// Text between two tags, of which references are separate events.
    text: String,
    /// Number of open elements.
    open_depth: usize,
    root: Option<JunitRoot>,
    /// Number of open elements above the suite being written.
    suite_depth: Option<usize>,
    writer: Writer<Vec<u8>>,
    rewritten: RewrittenSuites,
}

impl SuiteRewriter<'_> {
    fn rewrite_text(mut self, text: &str) -> Result<Option<RewrittenSuites>, JunitFileError> {
        let mut reader = Reader::from_str(text);
        loop {
            let event = reader.read_event().map_err(JunitFileError::invalid)?;
            if matches!(event, Event::Start(_) | Event::Empty(_) | Event::End(_)) {
                self.write_text()?;
            }
            match event {
                Event::Start(start) => {
                    if !self.open_element(&start, false)? {
                        return Ok(None);
                    }
                    self.open_depth += 1;
                }
                Event::Empty(start) => {
                    if !self.open_element(&start, true)? {
                        return Ok(None);
                    }
                }
                Event::End(end) => self.close_element(&end)?,
                Event::Text(text) => {
                    let text = text.decode().map_err(JunitFileError::invalid)?;
                    if self.open_depth == 0 && !text.trim().is_empty() {
                        return Err(JunitFileError::invalid("text outside of its root"));
                    }
                    self.text.push_str(&text);
                }
                Event::CData(data) => self.text.push_str(&data.decode().map_err(JunitFileError::invalid)?),
                Event::GeneralRef(reference) => self.add_reference(&reference)?,
                Event::DocType(_) => return Err(JunitFileError::DocumentType),
                Event::Decl(_) | Event::Comment(_) | Event::PI(_) => {}
                Event::Eof => break,
            }
            if self.writer.get_ref().len() > self.max_bytes {
                return Err(JunitFileError::ReportTooLarge);
            }
        }
        if self.open_depth > 0 || self.root.is_none() {
            return Err(JunitFileError::invalid("it ends early"));
        }
        self.rewritten.xml = self.writer.into_inner();
        Ok(Some(self.rewritten))
    }

    /// Opens an element; returns false if the root is not a JUnit element.
    fn open_element(&mut self, start: &BytesStart<'_>, empty: bool) -> Result<bool, JunitFileError> {
        let name = start.name();
        let name = parse_xml_name(name.as_ref())?;
        if self.open_depth == 0 {
            self.root = match (name, self.root) {
                (_, Some(_)) => return Err(JunitFileError::invalid("it has two roots")),
                ("testsuites", None) => Some(JunitRoot::TestSuites),
                ("testsuite", None) => Some(JunitRoot::TestSuite),
                _ => return Ok(false),
            };
        }
        let top = name == "testsuite" && self.open_depth == usize::from(self.root == Some(JunitRoot::TestSuites));
        if top && !empty {
            self.suite_depth = Some(self.open_depth);
        }
        if self.suite_depth.is_none() && !top {
            return Ok(true);
        }
        let counter = match name {
            "testcase" => Some(&mut self.rewritten.tests),
            "failure" => Some(&mut self.rewritten.failures),
            "error" => Some(&mut self.rewritten.errors),
            "skipped" => Some(&mut self.rewritten.skipped),
            _ => None,
        };
        if let Some(count) = counter {
            *count += 1;
        }
        let element = self.rewrite_element(start, &local_name(name), top)?;
        let event = if empty { Event::Empty(element) } else { Event::Start(element) };
        self.writer.write_event(event).map_err(JunitFileError::invalid)?;
        Ok(true)
    }

    /// Returns the element with its attributes re-escaped; a top-level suite is named after its session.
    fn rewrite_element(
        &self,
        start: &BytesStart<'_>,
        name: &str,
        top: bool,
    ) -> Result<BytesStart<'static>, JunitFileError> {
        let mut element = BytesStart::new(name.to_owned());
        let mut named = false;
        for attribute in start.attributes() {
            let attribute = attribute.map_err(JunitFileError::invalid)?;
            let key = parse_xml_name(attribute.key.as_ref())?.to_owned();
            // A suite is moved out of the element that declares its prefixes, if any does.
            if key == "xmlns" || key.contains(':') && key != "xml:lang" && key != "xml:space" {
                continue;
            }
            let value = attribute.normalized_value(XmlVersion::Implicit1_0).map_err(JunitFileError::invalid)?;
            let value = if top && key == "name" {
                named = true;
                format!("{}/{value}", self.session)
            } else {
                value.into_owned()
            };
            push_escaped_attribute(&mut element, &key, &(self.redact)(&value))?;
        }
        if top && !named {
            push_escaped_attribute(&mut element, "name", self.session)?;
        }
        Ok(element)
    }

    fn close_element(&mut self, end: &BytesEnd<'_>) -> Result<(), JunitFileError> {
        self.open_depth = self.open_depth.saturating_sub(1);
        self.write_in_suite(Event::End(BytesEnd::new(local_name(parse_xml_name(end.name().as_ref())?))))?;
        if self.suite_depth == Some(self.open_depth) {
            self.suite_depth = None;
        }
        Ok(())
    }

    fn add_reference(&mut self, reference: &BytesRef<'_>) -> Result<(), JunitFileError> {
        let unknown = || JunitFileError::invalid("it refers to an unknown entity");
        let name = reference.decode().map_err(JunitFileError::invalid)?;
        let character = match reference.resolve_char_ref().map_err(|_| unknown())? {
            Some(character) => Some(character).filter(|character| is_xml_char(*character)),
            None => match name.as_ref() {
                "lt" => Some('<'),
                "gt" => Some('>'),
                "amp" => Some('&'),
                "quot" => Some('"'),
                "apos" => Some('\''),
                _ => None,
            },
        };
        self.text.push(character.ok_or_else(unknown)?);
        Ok(())
    }

    /// Writes the text since the last tag, escaped.
    fn write_text(&mut self) -> Result<(), JunitFileError> {
        let text = std::mem::take(&mut self.text);
        if text.is_empty() {
            return Ok(());
        }
        // A line end that was a reference would be normalized if it were not one again.
        let text = (self.redact)(&text);
        let mut parts = text.split('\r');
        self.write_in_suite(Event::Text(BytesText::new(parts.next().unwrap_or_default())))?;
        for part in parts {
            self.write_in_suite(Event::GeneralRef(BytesRef::new("#13")))?;
            self.write_in_suite(Event::Text(BytesText::new(part)))?;
        }
        Ok(())
    }

    /// Writes an event inside a suite.
    fn write_in_suite(&mut self, event: Event<'_>) -> Result<(), JunitFileError> {
        match self.suite_depth {
            Some(_) => self.writer.write_event(event).map_err(JunitFileError::invalid),
            None => Ok(()),
        }
    }
}

fn push_escaped_attribute(element: &mut BytesStart<'static>, key: &str, value: &str) -> Result<(), JunitFileError> {
    if !value.chars().all(is_xml_char) {
        return Err(JunitFileError::ForbiddenCharacters);
    }
    let mut escaped = String::with_capacity(value.len());
    for character in value.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            // Unescaped line ends in attributes would be read as blanks.
            '\n' => escaped.push_str("&#10;"),
            '\r' => escaped.push_str("&#13;"),
            '\t' => escaped.push_str("&#9;"),
            other => escaped.push(other),
        }
    }
    element.push_attribute(Attribute {
        key: quick_xml::name::QName(key.as_bytes()),
        value: Cow::Owned(escaped.into_bytes()),
    });
    Ok(())
}

/// Validates an XML name; quick-xml accepts almost anything.
fn parse_xml_name(name: &[u8]) -> Result<&str, JunitFileError> {
    let damaged = || JunitFileError::invalid(format!("{} is not a name", String::from_utf8_lossy(name)));
    let text = std::str::from_utf8(name).map_err(|_| damaged())?;
    let inner = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | ':');
    let first = text.chars().next().is_some_and(|c| c.is_alphabetic() || c == '_' || c == ':');
    if first && text.chars().all(inner) { Ok(text) } else { Err(damaged()) }
}

/// Returns the name of an element without a namespace: a prefix would have to be declared.
fn local_name(name: &str) -> Cow<'_, str> {
    if name.contains(':') { Cow::Owned(name.replace(':', "_")) } else { Cow::Borrowed(name) }
}

/// Returns whether XML 1.0 allows a character.
fn is_xml_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content: &[u8]) -> Result<Option<RewrittenSuites>, JunitFileError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs_err::write(file.path(), content).unwrap();
        rewrite_suite_file(File::open(file.path()), "tests-3.12", 1_000, &|text| text.replace("s3cr<t", "***"))
    }

    #[test]
    fn suites_are_named_after_their_session_and_counted() {
        let xml = "\u{feff}<?xml version='1.0' encoding='utf-8'?><!-- pytest --><testsuites name=\"all\">\n<properties/>\
                   <testsuite name='py\"test' tests='9'><properties><property name='a' value='1&#10;2\t'/></properties>\
                   <testcase name='t1' time='0.1'/><testcase name='t2'><failure message='a &lt; b'>x ]] &gt; &#x41; <![CDATA[<raw>]]></failure></testcase>\
                   <testsuite name='inner'><testcase name='t3'><skipped/></testcase><testcase name='t4'><error/></testcase></testsuite>\
                   </testsuite><testsuite/></testsuites>";
        let rewritten = read(xml.as_bytes()).unwrap().unwrap();
        assert_eq!((rewritten.tests, rewritten.failures, rewritten.errors, rewritten.skipped), (4, 1, 1, 1));
        insta::assert_snapshot!(String::from_utf8(rewritten.xml).unwrap());
    }

    #[test]
    fn secrets_are_masked_in_texts_and_attributes() {
        let xml =
            b"<testsuite name='s3cr&lt;t'><testcase name='a s3cr&#60;t'><failure message='s3cr&lt;t'>b s3cr&lt;t c\
                    <![CDATA[ s3cr<t]]></failure></testcase></testsuite>";
        let rewritten = String::from_utf8(read(xml).unwrap().unwrap().xml).unwrap();
        assert!(!rewritten.contains("s3cr") && rewritten.matches("***").count() == 5, "{rewritten}");
    }

    #[test]
    fn a_single_suite_may_be_the_root() {
        let rewritten = read(b"<testsuite><testcase name='a'/></testsuite>").unwrap().unwrap();
        assert_eq!(rewritten.xml, b"<testsuite name=\"tests-3.12\"><testcase name=\"a\"/></testsuite>");
        assert_eq!(read(b"<testsuites/>").unwrap().unwrap(), RewrittenSuites::default());
    }

    #[test]
    fn prefixes_are_removed_whether_declared_or_not() {
        let xml = "<testsuites xmlns:j='urn:j'><testsuite xmlns='urn:d' name='s' j:a='1' u:b='2' xml:lang='de'>\
                   <testcase name='t'><j:extra u:c='3'>x</j:extra><:odd/></testcase></testsuite></testsuites>";
        let rewritten = String::from_utf8(read(xml.as_bytes()).unwrap().unwrap().xml).unwrap();
        assert_eq!(
            rewritten,
            "<testsuite name=\"tests-3.12/s\" xml:lang=\"de\"><testcase name=\"t\"><j_extra>x</j_extra><_odd/></testcase>\
             </testsuite>"
        );
    }

    #[test]
    fn other_xml_is_ignored() {
        assert_eq!(read(b"<coverage line-rate='1'><x/></coverage>").unwrap(), None);
        assert_eq!(read(b"<svg/>").unwrap(), None);
    }

    #[test]
    fn invalid_xml_is_rejected() {
        for (content, reason) in [
            (b"<testsuite><testcase>".as_slice(), "ends early"),
            (b"", "ends early"),
            (b"<testsuite><testcase></testsuite>", "not valid XML"),
            (b"<testsuite/><testsuite/>", "two roots"),
            (b"words<testsuite/>", "text outside"),
            (b"<testsuite>\xff</testsuite>", "not UTF-8"),
            (b"<testsuite>\x01</testsuite>", "does not allow"),
            (b"<testsuite name='&#1;'/>", "does not allow"),
            (b"<testsuite name='&#xFFFF;'/>", "does not allow"),
            (b"<testsuite>&nbsp;</testsuite>", "unknown entity"),
            (b"<testsuite>&#2;</testsuite>", "unknown entity"),
            (b"<testsuite>&#xD800;</testsuite>", "unknown entity"),
            (b"<testsuite a='1' a='2'/>", "not valid XML"),
            (b"<testsuite><te$t/></testsuite>", "is not a name"),
            (b"<!DOCTYPE x [<!ENTITY a 'b'>]><testsuite/>", "document type"),
        ] {
            let error = read(content).unwrap_err().to_string();
            assert!(error.contains(reason), "{}: {error}", String::from_utf8_lossy(content));
        }
        assert!(rewrite_suite_file(File::open("/nonexistent"), "a", 1_000, &str::to_owned).is_err());
        let large = tempfile::NamedTempFile::new().unwrap();
        large.as_file().set_len(MAX_FILE_BYTES + 1).unwrap();
        assert!(
            rewrite_suite_file(File::open(large.path()), "a", 1_000, &str::to_owned)
                .unwrap_err()
                .to_string()
                .contains("too large")
        );
    }
    #[test]
    fn the_names_of_suites_are_written_up_to_the_limit() {
        let suites = |count: usize| format!("<testsuites>{}</testsuites>", "<testsuite/>".repeat(count));
        // `<testsuite name="tests-3.12"/>`
        assert!(read(suites(33).as_bytes()).is_ok());
        assert!(matches!(read(suites(34).as_bytes()), Err(JunitFileError::ReportTooLarge)));
    }
}
