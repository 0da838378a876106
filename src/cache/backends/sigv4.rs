//! AWS Signature Version 4 in the `Authorization` header.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use crate::text::encode_hex;

/// Credentials for signing S3 requests.
#[derive(Clone)]
pub struct S3Credentials {
    /// ID of the access key.
    pub access_key_id: String,
    /// The secret access key.
    pub secret_access_key: String,
    /// Session token of temporary credentials.
    pub session_token: Option<String>,
    /// Region, such as `us-east-1`.
    pub region: String,
}

impl std::fmt::Debug for S3Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("S3Credentials")
            .field("key", &self.access_key_id)
            .field("region", &self.region)
            .finish_non_exhaustive()
    }
}

/// The parts of a request that are signed.
pub(super) struct SigningRequest<'a> {
    /// Method, such as `GET`.
    pub(super) method: &'a str,
    /// Host, with the port unless it is the default.
    pub(super) host: &'a str,
    /// Percent-encoded path.
    pub(super) path: &'a str,
    /// Query parameters, not encoded.
    pub(super) query: &'a [(&'a str, &'a str)],
    /// Further headers with names in lower case.
    pub(super) headers: &'a [(&'a str, &'a str)],
    /// SHA-256 of the body, or `UNSIGNED-PAYLOAD`.
    pub(super) payload_digest: &'a str,
    /// Time, such as `20130524T000000Z`.
    pub(super) timestamp: &'a str,
}

impl S3Credentials {
    /// Returns the headers to send with a request, including the signature.
    pub(super) fn sign_request(&self, request: &SigningRequest<'_>) -> Vec<(String, String)> {
        let mut headers: Vec<(&str, &str)> = request.headers.to_vec();
        headers.extend([
            ("host", request.host),
            ("x-amz-content-sha256", request.payload_digest),
            ("x-amz-date", request.timestamp),
        ]);
        headers.extend(self.session_token.as_deref().map(|token| ("x-amz-security-token", token)));
        headers.sort_unstable();
        let names = headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
        let lines: String = headers.iter().map(|(name, value)| format!("{name}:{}\n", value.trim())).collect();
        let query = canonical_query(request.query);
        let canonical =
            format!("{}\n{}\n{query}\n{lines}\n{names}\n{}", request.method, request.path, request.payload_digest);
        let day = request.timestamp.get(..8).unwrap_or_default();
        let scope = format!("{day}/{}/s3/aws4_request", self.region);
        let text =
            format!("AWS4-HMAC-SHA256\n{}\n{scope}\n{}", request.timestamp, encode_hex(&Sha256::digest(canonical)));
        let mut key = format!("AWS4{}", self.secret_access_key).into_bytes();
        for part in [day, &self.region, "s3", "aws4_request"] {
            key = hmac_sha256(&key, part);
        }
        let signature = encode_hex(&hmac_sha256(&key, &text));
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope},SignedHeaders={names},Signature={signature}",
            self.access_key_id
        );
        let sent = headers.iter().filter(|(name, _)| *name != "host");
        let mut signed: Vec<(String, String)> =
            sent.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        signed.push(("authorization".to_owned(), authorization));
        signed
    }
}

/// Encodes and sorts query parameters as required for the signature.
pub(super) fn canonical_query(query: &[(&str, &str)]) -> String {
    let mut parts: Vec<String> = query
        .iter()
        .map(|(name, value)| format!("{}={}", percent_encode(name, false), percent_encode(value, false)))
        .collect();
    parts.sort_unstable();
    parts.join("&")
}

/// Percent-encodes text; with `is_path`, slashes are not encoded.
pub(super) fn percent_encode(text: &str, is_path: bool) -> String {
    let is_unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || (is_path && byte == b'/');
    text.bytes()
        .map(|byte| if is_unreserved(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

fn hmac_sha256(key: &[u8], text: &str) -> Vec<u8> {
    // HMAC accepts keys of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return Vec::new() };
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> S3Credentials {
        S3Credentials {
            access_key_id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            secret_access_key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned(),
            session_token: None,
            region: "us-east-1".to_owned(),
        }
    }

    fn signature(headers: &[(String, String)]) -> &str {
        headers.iter().find(|(name, _)| name == "authorization").unwrap().1.rsplit('=').next().unwrap()
    }

    /// The examples in Amazon's documentation of the signature.
    #[test]
    fn published_examples_have_the_documented_signatures() {
        let empty = encode_hex(&Sha256::digest(b""));
        let mut request = SigningRequest {
            method: "GET",
            host: "examplebucket.s3.amazonaws.com",
            path: "/test.txt",
            query: &[],
            headers: &[("range", "bytes=0-9")],
            payload_digest: &empty,
            timestamp: "20130524T000000Z",
        };
        let expected = "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41";
        assert_eq!(signature(&example().sign_request(&request)), expected);
        (request.path, request.headers, request.query) = ("/", &[], &[("prefix", "J"), ("max-keys", "2")]);
        let expected = "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7";
        assert_eq!(signature(&example().sign_request(&request)), expected);
    }

    #[test]
    fn a_session_token_is_signed_and_secrets_are_not_printed() {
        let credentials = S3Credentials { session_token: Some("tok".to_owned()), ..example() };
        let request = SigningRequest {
            method: "GET",
            host: "h",
            path: "/",
            query: &[],
            headers: &[],
            payload_digest: "x",
            timestamp: "20130524T000000Z",
        };
        let signed = credentials.sign_request(&request);
        assert!(signed.contains(&("x-amz-security-token".to_owned(), "tok".to_owned())));
        assert!(!format!("{credentials:?}").contains("wJalr") && !format!("{credentials:?}").contains("tok"));
        assert_eq!(percent_encode("a b/c", true), "a%20b/c");
    }
}
