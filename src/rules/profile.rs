//! Profiles: how much is looked for. Each holds the one before it.

/// A named set of rules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Profile {
    /// Tokens, passwords, keys.
    Secrets,
    /// `secrets` and email, payment card, IBAN, E.164 phone, SSN in context.
    #[default]
    Default,
    /// `default` and IP and MAC addresses, user names by key, national ids, random strings near a sensitive key.
    Strict,
}

impl Profile {
    /// All profiles, smallest first.
    pub const ALL: [Self; 3] = [Self::Secrets, Self::Default, Self::Strict];

    /// The name users write.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Secrets => "secrets",
            Self::Default => "default",
            Self::Strict => "strict",
        }
    }

    /// The profile of that name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|p| p.name() == name)
    }
}

impl std::fmt::Display for Profile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
