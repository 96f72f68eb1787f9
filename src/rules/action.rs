//! Actions: what becomes of the bytes of a finding.

/// What stands in place of a secret.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Action {
    /// The marker `[REDACTED:<rule-id>]`.
    #[default]
    Replace,
    /// Asterisks, and the last `keep` bytes as they were. At most half of a secret is ever kept.
    Mask {
        /// How many bytes stay at the end.
        keep: u8,
    },
    /// The pseudonym `[<rule-id>:<key-id>:<24 hex>]`: HMAC-SHA-256 of the secret, cut to 96 bits.
    Hash,
    /// Nothing at all.
    Remove,
}

impl Action {
    /// The names users write.
    pub const NAMES: [&'static str; 4] = ["replace", "mask", "hash", "remove"];
}
