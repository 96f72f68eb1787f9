//! The rules that are built in: `patterns/*.toml`, as text in the binary.
//!
//! A test compares this list with the folder.

/// File name and text of every built-in rule file.
pub const BUILTIN: &[(&str, &str)] = &[
    ("patterns/ai.toml", include_str!("../../patterns/ai.toml")),
    ("patterns/auth.toml", include_str!("../../patterns/auth.toml")),
    ("patterns/cloud.toml", include_str!("../../patterns/cloud.toml")),
    ("patterns/code.toml", include_str!("../../patterns/code.toml")),
    ("patterns/database.toml", include_str!("../../patterns/database.toml")),
    ("patterns/hash.toml", include_str!("../../patterns/hash.toml")),
    ("patterns/kasm.toml", include_str!("../../patterns/kasm.toml")),
    ("patterns/keyed.toml", include_str!("../../patterns/keyed.toml")),
    ("patterns/kubernetes.toml", include_str!("../../patterns/kubernetes.toml")),
    ("patterns/messaging.toml", include_str!("../../patterns/messaging.toml")),
    ("patterns/pii.toml", include_str!("../../patterns/pii.toml")),
    ("patterns/private.toml", include_str!("../../patterns/private.toml")),
    ("patterns/saas.toml", include_str!("../../patterns/saas.toml")),
    ("patterns/url.toml", include_str!("../../patterns/url.toml")),
];
