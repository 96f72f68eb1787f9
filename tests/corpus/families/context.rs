//! Families that are no vendor's: structured tokens, passwords, URLs and statements, keys, hashes, PII.

use super::super::carriers::Fits;
use super::{Family, Shapes};

const PASSWORD_KEYS: &[&str] = &[
    "password",
    "passwd",
    "db_pwd",
    "db_password",
    "admin_password",
    "new_password",
    "redis_password",
    "user_pass",
    "vnc_pw",
    "password",
];

const fn whole(
    name: &'static str,
    group: &'static str,
    keys: &'static [&'static str],
    shapes: &'static [&'static str],
) -> Family {
    Family::new(name, group, keys, Shapes::Whole(shapes))
}

const fn marked(
    name: &'static str,
    group: &'static str,
    keys: &'static [&'static str],
    shapes: &'static [&'static str],
) -> Family {
    Family::new(name, group, keys, Shapes::Marked(shapes))
}

const fn password(name: &'static str, shapes: &'static [&'static str]) -> Family {
    whole(name, "password", PASSWORD_KEYS, shapes).needs_key()
}

pub(super) const FAMILIES: &[Family] = &[
    // Tokens by structure and by slot.
    whole("jwt-rs256", "token", &["token", "id_token", "access_token", "jwt"], &["~jwt~", "~jwttyp~"]).fits(Fits::Bearer),
    whole("jwt-hs256", "token", &["token", "id_token", "auth_token"], &["~jwths~"]).fits(Fits::Bearer),
    marked("jwt-none", "token", &["token", "auth_token"], &["~jwtnone~"]).fits(Fits::Bearer),
    whole("jwe", "token", &["token", "id_token"], &["~jwe~"]).fits(Fits::Bearer),
    marked("bearer", "token", &["Authorization", "Proxy-Authorization"], &["Bearer ~!a40~", "bearer ~!w64~", "Token ~!h40~", "Bearer ~!uuid~"])
        .needs_key()
        .fits(Fits::Header),
    marked("basic", "token", &["Authorization", "Proxy-Authorization"], &["Basic ~basic~"]).needs_key().fits(Fits::Header),
    marked(
        "digest",
        "token",
        &["Authorization"],
        &["Digest username=\"~?name~\", realm=\"kasm\", nonce=\"~?h32~\", uri=\"/api/kasms\", qop=auth, nc=00000001, cnonce=\"~?h16~\", response=\"~!h32~\""],
    )
    .needs_key()
    .fits(Fits::Header),
    marked(
        "aws-signature",
        "token",
        &["Authorization"],
        &["AWS4-HMAC-SHA256 Credential=~?=AKIA~~!s16~~?=/20260707/eu-central-1/s3/aws4_request~, SignedHeaders=host;x-amz-date, Signature=~!h64~"],
    )
    .needs_key()
    .fits(Fits::Header),
    marked("negotiate", "token", &["Authorization"], &["Negotiate ~?=YII~~!b200-300~~?==~", "NTLM ~?=TlRMTVNTUAAD~~!b120~"]).needs_key().fits(Fits::Header),
    marked("api-key-header", "token", &["X-Api-Key", "X-Auth-Token", "X-Vault-Token", "Api-Key"], &["~!a32~", "~!uuid~", "~!h40~"])
        .needs_key()
        .fits(Fits::Header),
    marked(
        "cookie",
        "token",
        &["Cookie"],
        &[
            "username=~?name~; session_token=~!uuid~; kasm_client_key=~!uuid~",
            "sessionid=~!l32~",
            "JSESSIONID=~!H32~; theme=~?=dark~",
        ],
    )
    .needs_key()
    .fits(Fits::Header),
    marked(
        "set-cookie",
        "token",
        &["Set-Cookie"],
        &["session_token=~!uuid~; Path=/; HttpOnly; Secure; SameSite=Lax", "sid=~!w43~; Max-Age=3600; Path=/"],
    )
    .needs_key()
    .fits(Fits::Header),
    whole("session-token", "token", &["session_token", "sessionid", "jsessionid", "phpsessid"], &["~uuid~", "~h32~", "~l32~"]).needs_key(),
    whole("oauth-token", "token", &["access_token", "refresh_token", "auth_token", "bearer_token"], &["~a40~", "~w64~", "1//0~w100~"]).needs_key(),
    whole("oauth-client-secret", "token", &["client_secret"], &["~a32~", "~uuid~", "~w43~"]).needs_key(),
    whole("oauth-code", "token", &["code"], &["~w43~", "4/0A~w60~", "~uuid~.~uuid~"]).needs_key().fits(Fits::Query),
    whole("saml-response", "token", &["SAMLResponse"], &["~saml~"]).needs_key().fits(Fits::Query),
    whole("assertion", "token", &["assertion", "client_assertion"], &["~jwt~", "~saml~"]).needs_key().fits(Fits::Query),
    whole("kasm-api-key", "token", &["api_key"], &["~a12~"]).needs_key(),
    whole("kasm-api-key-secret", "token", &["api_key_secret"], &["~a32~"]).needs_key(),
    whole("kasm-token", "token", &["manager_token", "registration_token", "service_token", "docker_token"], &["~a26~", "~uuid~"]).needs_key(),
    whole("kasm-client-key", "token", &["kasm_client_key"], &["~uuid~"]).needs_key(),
    // Signed URLs.
    marked(
        "url-aws",
        "url",
        &["url", "location"],
        &["https://kasm~d3~.s3.amazonaws.com/r/~h8~.webm?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=~?=AKIA~~!s16~~?=%2F20260707%2Feu-central-1%2Fs3%2Faws4_request~&X-Amz-Date=20260707T100000Z&X-Amz-Expires=900&X-Amz-SignedHeaders=host&X-Amz-Signature=~!h64~"],
    ),
    marked(
        "url-gcs",
        "url",
        &["url", "location"],
        &["https://storage.googleapis.com/kasm~d3~/r.webm?X-Goog-Algorithm=GOOG4-RSA-SHA256&X-Goog-Date=20260707T100000Z&X-Goog-Expires=900&X-Goog-SignedHeaders=host&X-Goog-Signature=~!h512~"],
    ),
    marked(
        "url-azure-sas",
        "url",
        &["url", "location"],
        &["https://kasm~d3~.blob.core.windows.net/r/a.webm?sv=2024-11-04&se=2026-07-08T10%3A00%3A00Z&sr=b&sp=r&sig=~azuresig~"],
    ),
    marked(
        "url-cloudfront",
        "url",
        &["url", "location"],
        &["https://d~l13~.cloudfront.net/r.webm?Expires=1783420800&Signature=~!cloudfrontsig~&Key-Pair-Id=K~u13~"],
    ),
    // URLs and connection strings.
    marked(
        "url-password",
        "url",
        &["url", "endpoint", "upstream"],
        &["https://~name~:~!urlpw~@~host~/repo.git", "https://kasm:~!a26~@~host~:8443/v2/", "ftp://~name~:~!a12~@~host~/backup", "smtp://mailer:~!urlpw~@~host~:587"],
    ),
    marked(
        "dsn",
        "url",
        &["url", "broker", "backend"],
        &[
            "postgres://kasmapp:~!a26~@db:5432/kasm",
            "postgresql+psycopg2://kasmapp:~!urlpw~@db/kasm?sslmode=require",
            "mysql://root:~!a16~@mysql:3306/app",
            "amqp://guest:~!a20~@mq:5672/vhost",
            "mongodb+srv://app:~!urlpw~@cluster0.~l5~.mongodb.net/kasm",
            "ldap://cn=bind:~!a14~@ldap:389",
            "rediss://default:~!a32~@redis:6380/1",
            "clickhouse://otel:~!uuid~@clickhouse:9000/archive",
        ],
    ),
    marked("dsn-no-user", "url", &["url", "broker"], &["redis://:~!a26~@redis:6379/0", "redis://:~!uuid~@10.2.0.7:6379"]),
    marked(
        "jdbc",
        "url",
        &["url", "datasource"],
        &[
            "jdbc:postgresql://db:5432/kasm?user=kasmapp&password=~!a26~",
            "jdbc:sqlserver://db:1433;user=sa;password=~!a20~;encrypt=true",
            "jdbc:mysql://db/app?useSSL=true&user=app&password=~!a12~&serverTimezone=UTC",
        ],
    ),
    marked("odbc", "url", &["driver"], &["Driver={PostgreSQL};Server=db;Uid=kasmapp;Pwd=~!a20~;Port=5432", "Server=db;Database=kasm;User Id=sa;Password=~!a16~;Encrypt=true"])
        .fits(Fits::Prose),
    marked("libpq", "url", &["target"], &["host=db port=5432 user=kasmapp password=~!a26~ dbname=kasm", "host=db user=kasmapp password='~!a20~' sslmode=require"])
        .fits(Fits::Prose),
    marked(
        "sql",
        "url",
        &["statement", "query", "sql"],
        &[
            "CREATE USER kasmapp WITH PASSWORD '~!a26~'",
            "ALTER ROLE kasmapp WITH LOGIN ENCRYPTED PASSWORD '~!a20~' VALID UNTIL 'infinity'",
            "alter user kasmapp password '~!a16~';",
            "CREATE USER 'app'@'%' IDENTIFIED BY '~!a18~'",
            "ALTER USER 'root'@'localhost' IDENTIFIED WITH mysql_native_password BY '~!a24~'",
            "SET PASSWORD FOR 'app'@'%' = '~!a24~'",
            "UPDATE users SET password = '~!a14~' WHERE id = 7",
        ],
    )
    .fits(Fits::Prose),
    // Passwords, known by their key alone.
    password("password-chart", &["~a26~"]),
    password("password-uuid", &["~uuidpw~"]),
    password("password-hex", &["~h32~", "~h64~"]),
    password("password-symbols", &["~pwsymbols~"]),
    password("password-quotes", &["~pwquotes~"]),
    password("password-unicode", &["~pwunicode~"]),
    password("password-short", &["~pwshort~"]),
    password("password-words", &["~pwwords~"]),
    password("password-digits", &["~d8~", "~d10~"]),
    whole("pin", "password", &["pin", "otp", "mfa_code"], &["~d6~", "~d4~"]).needs_key(),
    whole("passphrase", "password", &["passphrase", "key_passphrase"], &["~passphrase~"]).needs_key(),
    whole("totp-secret", "password", &["totp_secret", "otp_secret"], &["~s32~", "~s16~"]).needs_key(),
    // Key material and password hashes.
    marked("private-key", "key", &["private_key", "tls_key", "data"], &["~pem~", "~pem~~?=\n~"]).fits(Fits::Prose),
    whole("client-key-data", "key", &["client_key_data"], &["~pembase64~"]).needs_key(),
    whole("k3s-node-token", "key", &["token", "node_token"], &["K10~h64~::server:~h32~", "K10~h64~::node:~h32~"]),
    whole("bootstrap-token", "key", &["bootstrap_token", "token"], &["~l6~.~l16~"]).needs_key(),
    whole("service-account-token", "key", &["token"], &["~jwtkid~"]).fits(Fits::Bearer),
    whole("hash-bcrypt", "hash", &["hash", "password_hash"], &["$2b$12$~c53~", "$2y$10$~c53~", "$2a$10$~c53~"]),
    whole("hash-crypt", "hash", &["hash", "password_hash"], &["$6$~c16~$~c86~", "$5$~c16~$~c43~", "$1$~c8~$~c22~"]),
    marked(
        "hash-argon2",
        "hash",
        &["hash", "password_hash"],
        &["~?=$argon2id$v=19$m=65536,t=3,p=4$~~!b22~~?=$~~!b43~", "~?=$argon2i$v=19$m=4096,t=3,p=1$~~!b22~~?=$~~!b43~"],
    ),
    marked(
        "hash-pbkdf2",
        "hash",
        &["hash", "password_hash"],
        &["~?=pbkdf2:sha256:600000$~~!a16~~?=$~~!h64~", "~?=pbkdf2_sha256$600000$~~!a22~~?=$~~!b43~~?==~", "~?=scrypt:32768:8:1$~~!a16~~?=$~~!h128~"],
    ),
    marked("hash-ldap", "hash", &["hash", "user_password"], &["~?={SSHA}~~!b43~~?==~", "~?={SHA}~~!b27~~?==~", "~?={CRYPT}~~?=$6$~~!c16~~?=$~~!c86~"]),
    whole("kasm-pw-hash", "hash", &["pw_hash"], &["~h64~"]).needs_key(),
    whole("kasm-salt", "hash", &["salt"], &["~uuid~"]).needs_key(),
    // Personal data.
    whole("card", "pii", &["card_number", "pan", "credit_card"], &["~card~"]),
    whole("card-grouped", "pii", &["card_number", "pan"], &["~cardspaced~", "~carddashed~"]),
    whole("iban", "pii", &["iban", "account"], &["~iban~"]),
    whole("iban-grouped", "pii", &["iban", "account"], &["~ibanspaced~"]),
    whole("email", "pii", &["email", "contact", "recipient"], &["~email~"]),
    whole("phone", "pii", &["phone", "mobile"], &["~phone~"]),
    whole("ssn", "pii", &["ssn", "social_security_number"], &["~ssn~"]).needs_key(),
];
