//! Tokens of vendors: each is known by its own shape, whatever stands around it, except where
//! the provider gave it none (`keyed`).

use super::super::carriers::Fits;
use super::{Family, Shapes};

const TOKEN_KEYS: &[&str] = &["token", "api_key", "access_token", "secret"];

const fn vendor(name: &'static str, shapes: &'static [&'static str]) -> Family {
    Family::new(name, "vendor", TOKEN_KEYS, Shapes::Whole(shapes)).fits(Fits::Bearer)
}

const fn keyed(name: &'static str, keys: &'static [&'static str], shapes: &'static [&'static str]) -> Family {
    Family::new(name, "vendor", keys, Shapes::Whole(shapes)).needs_key()
}

pub(super) const FAMILIES: &[Family] = &[
    vendor("github", &["~github~"]),
    vendor("github-fine-grained", &["github_pat_~a22~_~a59~"]),
    vendor("gitlab-pat", &["glpat-~w20~"]),
    vendor(
        "gitlab-other",
        &[
            "gldt-~w20~",
            "glrt-~w20~",
            "glptt-~h40~",
            "glcbt-~a2~_~w20~",
            "gloas-~h64~",
            "glft-~w20~",
            "glsoat-~w20~",
            "glagent-~w50~",
        ],
    ),
    vendor("aws-access-key-id", &["AKIA~s16~", "ASIA~s16~", "ABIA~s16~", "ACCA~s16~"]),
    keyed("aws-secret-key", &["aws_secret_access_key", "secret_access_key"], &["~b40~"]),
    keyed("aws-session-token", &["aws_session_token", "session_token"], &["IQoJb3JpZ2lu~b180-400~=="]),
    vendor("aws-bedrock", &["~bedrock~"]),
    vendor("gcp-api-key", &["AIza~w35~"]),
    vendor("gcp-oauth", &["ya29.~w100-180~", "ya29.a0Af~w120~"]),
    vendor("gcp-client-secret", &["GOCSPX-~w28~"]),
    Family::new(
        "azure-connection",
        "vendor",
        &["storage", "target"],
        Shapes::Marked(&[
            "DefaultEndpointsProtocol=https;AccountName=kasm~d4~;AccountKey=~!b86~~?===~;EndpointSuffix=core.windows.net",
            "Endpoint=sb://kasm~d4~.servicebus.windows.net/;SharedAccessKeyName=send;SharedAccessKey=~!b43~~?==~",
        ]),
    ),
    vendor("azure-client-secret", &["~a3~~d1~Q~~~a34~", "~a3~~d1~Q~~~a31~"]),
    vendor("azure-devops", &["~a76~AZDO~a4~"]),
    vendor(
        "slack-token",
        &[
            "xoxb-~d12~-~d13~-~a24~",
            "xoxp-~d12~-~d12~-~d13~-~h32~",
            "xoxe.xoxp-1-~a146~",
            "xoxa-2-~d12~-~d12~-~d12~-~h32~",
        ],
    ),
    vendor("slack-app", &["xapp-1-A~u10~-~d13~-~h64~"]),
    Family::new(
        "slack-webhook",
        "vendor",
        &["url", "webhook_url"],
        Shapes::Marked(&["~?=https://hooks.slack.com/services/T~~?u10~~?=/B~~?u10~~?=/~~!a24~"]),
    ),
    vendor("stripe", &["sk_live_~a24~", "sk_live_51~a97~", "rk_live_~a24~", "rk_live_51~a97~"]),
    vendor("stripe-webhook", &["whsec_~a32~"]),
    vendor("openai-legacy", &["sk-~a20~T3BlbkFJ~a20~"]),
    vendor(
        "openai",
        &["sk-proj-~w74~T3BlbkFJ~w74~", "sk-svcacct-~w58~T3BlbkFJ~w58~", "sk-admin-~w58~T3BlbkFJ~w58~"],
    ),
    vendor("anthropic", &["sk-ant-api03-~w93~AA", "sk-ant-admin01-~w93~AA"]),
    vendor("huggingface", &["hf_~A34~"]),
    vendor("groq", &["gsk_~a52~"]),
    vendor("perplexity", &["pplx-~a48~"]),
    vendor("replicate", &["r8_~a37~"]),
    vendor("xai", &["xai-~a80~"]),
    vendor("nvidia", &["nvapi-~w64~"]),
    vendor("langsmith", &["lsv2_pt_~h32~_~h10~", "lsv2_sk_~h32~_~h10~"]),
    vendor("npm", &["~npm~"]),
    vendor("pypi", &["pypi-AgEIcHlwaS5vcmc~w100-160~"]),
    vendor("crates-io", &["cio~a32~"]),
    vendor("rubygems", &["rubygems_~h48~"]),
    vendor("sendgrid", &["SG.~w22~.~w43~"]),
    keyed("twilio-auth-token", &["twilio_auth_token"], &["~h32~"]),
    vendor("twilio-api-key", &["SK~h32~"]),
    vendor("atlassian", &["~atlassian~"]),
    vendor("shopify", &["shpat_~h32~", "shpca_~h32~", "shppa_~h32~", "shpss_~h32~"]),
    vendor("digitalocean", &["dop_v1_~h64~", "doo_v1_~h64~", "dor_v1_~h64~"]),
    vendor("vault", &["hvs.~w90-120~", "hvb.~w138-200~", "hvr.~w90~", "hvs.~a24~"]),
    vendor("terraform", &["~a14~.atlasv1.~w67~"]),
    vendor("doppler", &["dp.pt.~a43~", "dp.st.dev.~a43~", "dp.ct.~a43~"]),
    vendor("databricks", &["dapi~h32~", "dapi~h32~-2"]),
    vendor("grafana-service-account", &["~glsa~"]),
    vendor("grafana-cloud", &["~glc~"]),
    vendor("new-relic", &["NRAK-~u27~"]),
    keyed(
        "datadog",
        &["dd_api_key", "datadog_api_key", "dd_app_key", "datadog_app_key"],
        &["~h32~", "~h40~"],
    ),
    vendor("sentry", &["sntryu_~h64~", "~sentry~"]),
    vendor("dynatrace", &["dt0c01.~s24~.~s64~"]),
    vendor("docker", &["dckr_pat_~w27~", "dckr_oat_~w32~"]),
    vendor("tailscale", &["tskey-auth-k~a10~CNTRL-~a32~", "tskey-api-k~a10~CNTRL-~a32~"]),
    vendor("telegram", &["~d10~:AA~w33~", "~d9~:AA~w33~"]),
    vendor("discord", &["~discord~"]),
    vendor("age", &["~age~"]),
    vendor("onepassword", &["~onepassword~"]),
    vendor("heroku", &["HRKU-AA~w58~"]),
    vendor("supabase", &["sbp_~h40~", "sb_secret_~w31~"]),
    vendor("planetscale", &["pscale_tkn_~w43~", "pscale_pw_~w43~"]),
    vendor("linear", &["lin_api_~a40~"]),
    vendor("notion", &["ntn_~d11~~a35~", "secret_~a43~"]),
    vendor("figma", &["figd_~w40~"]),
    vendor("postman", &["PMAK-~h24~-~h34~"]),
    vendor("pulumi", &["pul-~h40~"]),
    vendor("airtable", &["pat~a14~.~h64~"]),
    vendor("mailgun", &["key-~h32~"]),
    vendor("mailchimp", &["~h32~-us~d2~"]),
    vendor("square", &["sq0atp-~w22~", "sq0csp-~w43~"]),
    vendor("buildkite", &["bkua_~h40~"]),
    vendor("circleci", &["CCIPAT_~a22~_~h40~"]),
    vendor("sonarqube", &["squ_~h40~", "sqp_~h40~", "sqa_~h40~"]),
    vendor("artifactory", &["AKCp8~a68~", "cmVmdGtu~a56~"]),
    vendor("easypost", &["EZAK~a54~"]),
    vendor("shippo", &["shippo_live_~h40~"]),
    vendor("contentful", &["CFPAT-~w43~"]),
];
