//! Whole records with a shape of their own: what Kasm, its database, proxy and gateways, Kubernetes and
//! common tools print. Each is a family of its own in the table, carried as `record`.
//!
//! Not here: values that may stand in any carrier (`families`), and records without secrets (`negatives`).

use super::Record;
use super::random::Random;
use super::slots::fill;

/// A record's name, whether it is JSON, and its template.
type Template = (&'static str, bool, &'static str);

/// The carrier of all records here.
pub(crate) const CARRIER: &str = "record";

/// `n` records of every template name; a name with several templates takes them in turn.
pub(crate) fn records(seed: u64, n: usize) -> Vec<Record> {
    let mut records = Vec::new();
    for templates in [KASM, STORES, KEYS, TOOLS] {
        for group in templates.chunk_by(|a, b| a.0 == b.0) {
            for number in 0..n.max(1) * group.len() {
                let (name, json, template) = group[number % group.len()];
                let mut random = Random::of(seed, &[name, CARRIER], number);
                records.push(fill(&mut random, template).record(name, CARRIER, json));
            }
        }
    }
    records
}

/// Kasm's own services.
const KASM: &[Template] = &[
    ("kasm-db-init", false, "INSTALLATION> Admin Password: ~!uuid~"),
    ("kasm-db-init", false, "INSTALLATION> User Password: ~!uuid~"),
    ("kasm-db-init", false, "INSTALLATION> Manager Token: ~!uuid~"),
    ("kasm-db-init", false, "INSTALLATION> Registration Token: ~!uuid~"),
    ("kasm-db-init", false, "~cri~ stdout F INSTALLATION> Admin Password: ~!a26~"),
    ("kasm-seed", false, "      salt: ~!uuid~\n      pw_hash: ~!h64~\n      realm: local"),
    (
        "kasm-login",
        false,
        "~py~ [INFO] client_api_server: Successful authentication attempt for user: (~!email~)",
    ),
    (
        "kasm-login",
        false,
        "~py~ [DEBUG] client_api_server: Successfully authenticated request (get_client_settings) for user (~!email~) at (~ip~)",
    ),
    (
        "kasm-invalid-token",
        false,
        "~py~ [WARNING] client_api_server: Invalid token (~!uuid~) for user (~!email~) at (~ip~) for request (license_status)",
    ),
    (
        "kasm-invalid-token",
        false,
        "~py~ [WARNING] client_api_server: Invalid token (~!jwt~) for user (~name~) at (~ip~) for request (get_kasms)",
    ),
    (
        "kasm-provisioned",
        false,
        "~py~ [INFO] client_api_server: Successfully provisioned kasm_id (~uuid~) with container_id (~h64~) at (~ip~) for user (~!email~) at (~ip~)",
    ),
    (
        "kasm-login-json",
        true,
        r#"{"asctime": "~py~", "name": "client_api_server", "processName": "MainProcess", "filename": "client_api.py", "funcName": "login", "levelname": "INFO", "lineno": 812, "module": "client_api", "threadName": "CP Server Thread-9", "message": "Successful authentication attempt for user: (~!email~)", "timestamp": "~iso~"}"#,
    ),
    (
        "kasm-session-log",
        false,
        r#"~py~ [INFO] cherrypy.access.1~d14~: ~ip~ - - [~cherry~] "POST /api/kasm_session_log?token=~!jwttyp~ HTTP/1.1" 200 - "" "curl/7.68.0""#,
    ),
    (
        "kasm-session-log",
        false,
        r#"~ip~ - - [~clf~] "POST /api/kasm_session_log?token=~!jwt~ HTTP/1.1" 200 12 "-" "curl/7.68.0" "~ip~""#,
    ),
    (
        "kasm-session-log",
        false,
        r#"~ip~ - - [~clf~] "POST /api/set_kasm_session_status?token=~!jwt~&status=running HTTP/1.1" 200 12 "-" "curl/7.68.0" "-""#,
    ),
    (
        "kasm-nginx-json",
        true,
        r#"{"upstream_response_length": "2","body_bytes_sent": "2","bytes_sent": "~n~","connection": "~n~","http_referer": "https://~host~/#/connect/kasm/~h32~/~h32~/~!uuid~","http_user_agent": "Mozilla/5.0","http_x_forwarded_for": "~ip~","request":"GET /desktop/~uuid~/vnc/websockify HTTP/1.1","request_id": "~h32~","remote_addr": "~ip~","realip_remote_addr": "~ip~","query_string": "token=~!jwt~","upstream_response_time": "0.0~d2~","cookie_username": "~!email~","upstream_response_time": "0.0~d2~"}"#,
    ),
    (
        "kasm-nginx-json",
        true,
        r#"{"upstream_response_time": "0.0~d2~","request":"POST /api/kasm_session_log?token=~!jwt#1~ HTTP/1.1","uri":"/api/kasm_session_log","query_string": "token=~!jwt#1~","request_id": "~h32~","upstream_response_time": "0.0~d2~","status": "200"}"#,
    ),
    (
        "kasm-vnc-referer",
        false,
        r#"~py~ [INFO] cherrypy.access.1~d14~: ~ip~ - - [~cherry~] "GET /api/kasm_connect/ HTTP/1.0" 202 - "https://~host~/desktop/~uuid~/vnc/vnc.html?video_quality=2&enable_webp=true&password=~!a22~&autoconnect=1&path=desktop/~uuid~/vnc/websockify&resize=remote" "Mozilla/5.0 (X11; Linux x86_64)""#,
    ),
    (
        "kasm-nginx-error",
        false,
        r#"2026/07/07 10:00:00 [error] 30#30: *17 upstream timed out (110: Operation timed out) while reading response header from upstream, client: ~ip~, server: ubuntu-base, request: "GET /desktop/~uuid~/vnc/ HTTP/1.1", upstream: "https://~ip~:443/vnc/", host: "~host~", referrer: "https://~host~/vnc.html?password=~!a16~""#,
    ),
    (
        "kasm-connect-url",
        false,
        "~py~ [INFO] client_api_server: redirecting to https://~host~/#/connect/kasm/~h32~/~h32~/~!uuid~",
    ),
    (
        "kasm-connect-url",
        false,
        "cast link: https://~host~/#/connect/kasm/~uuid~/~h32~/~!jwt~ (expires in 1h)",
    ),
    (
        "kasm-connect-url",
        true,
        r#"{"kasm_id":"~uuid~","status":"starting","kasm_url":"/#/connect/kasm/~h32~/~h32~/~!uuid#1~","session_token":"~!uuid#1~","username":"~name~"}"#,
    ),
    (
        "kasm-upstream-cookie",
        false,
        r#"2026/07/07 10:00:00 [info] 30#30: *9 upstream header: "Cookie: username=~?name~; session_token=~!uuid~; kasm_client_key=~!uuid~""#,
    ),
    (
        "kasm-connect-auth",
        false,
        r#"2026/07/07 10:00:00 [info] 30#30: *9 upstream header: "Authorization: Bearer ~!a48~", host: "~host~""#,
    ),
    (
        "kasm-dev-api",
        true,
        r#"{"api_key": "~!a12~", "api_key_secret": "~!a32~", "target_user": {"username": "~!email~", "password": "~!a14~", "phone": "~!phone~", "locked": false, "disabled": false}}"#,
    ),
    (
        "kasm-dev-api",
        true,
        r#"{"message": "body={\"api_key\":\"~!a12~\",\"api_key_secret\":\"~!a32~\",\"image_id\":\"~h32~\",\"user_id\":\"~h32~\"}", "levelname": "DEBUG"}"#,
    ),
    (
        "kasm-docker-token",
        false,
        "~py~ [DEBUG] __main__.handler: {'message': 'Successfully processed Image Request', 'data': [{'image_id': '~h32~', 'cores': 2.0, 'docker_registry': 'https://index.docker.io/v1/', 'docker_token': '~!a36~', 'docker_user': 'kasmbot', 'enabled': True}]}",
    ),
    (
        "kasm-web-filter",
        true,
        r#"{"host": "proxy", "ingest_date": "20260707100001", "application": "kasm_squid_adapter", "levelname": "INFO", "kasm_user_name": "~!email~", "client_ip": "~ip~", "url": "https://~host~/search?q=~word~", "site": "~host~", "domain": "~host~", "category": "search", "allow": true}"#,
    ),
    (
        "kasm-export",
        true,
        r#"{"host": "proxy", "ingest_date": "202607071000", "application": "kasm_agent", "levelname": "ERROR", "funcname": null, "kasm_user_name": "~!email~", "message": "Error Getting Image: (kasmweb/desktop:1.17.0) : 500 Server Error for http+docker://localhost/v1.47/auth: {\"username\":\"kasm\",\"password\":\"~!a20~\"}\nTraceback (most recent call last):\n  File \"docker/api/client.py\", line 275"}"#,
    ),
    (
        "kasm-saml",
        false,
        "~py~ [DEBUG] client_api_server: Processing SAML response: <samlp:Response ID=\"_~h32~\"><saml:NameID Format=\"unspecified\">~!email~</saml:NameID></samlp:Response>",
    ),
    (
        "kasm-ldap",
        false,
        "~py~ [DEBUG] client_api_server: ldap bind {'url': 'ldaps://~host~', 'bindDN': 'cn=kasm,ou=svc', 'bindCredentials': '~!a18~'}",
    ),
    (
        "kasm-vnc-argv",
        false,
        r#"+ /usr/bin/Xvnc :1 -drinode /dev/dri/renderD128 --auth-token "~?=kasm_user:~~!a16~" -websocketPort 6901 -cert /etc/ssl/kasm.pem"#,
    ),
    (
        "kasm-vnc-argv",
        false,
        "exec: kasm-profile-sync --upload /home/kasm-user --insecure --remote proxy --port 443 -c ~uuid~ --token ~!jwt~",
    ),
    (
        "kasm-guac-auth",
        true,
        r#"{"level":"error","config":{"method":"post","url":"https://proxy:443/api/guac_auth","data":"{\"username\":\"~name~\",\"token\":\"~!jwt~\",\"kasm_id\":\"~uuid~\"}"},"status":401}"#,
    ),
    (
        "kasm-guac-settings",
        true,
        r#"{"connection":{"type":"rdp","settings":{"hostname":"~host~","username":"~name~","password":"~!a16~","private-key":"~pem1~","passphrase":"~!a20~","gateway-password":"~!a14~","security":"any","ignore-cert":true}}}"#,
    ),
    (
        "kasm-guac-settings",
        true,
        r#"{"message":"{\"connection\":{\"type\":\"ssh\",\"settings\":{\"hostname\":\"~host~\",\"username\":\"~name~\",\"private-key\":\"~pem2~\",\"sftp-password\":\"~!a16~\",\"port\":22}}}"}"#,
    ),
    (
        "kasm-guac-connect",
        false,
        "[2026-07-07 10:00:00] [Connection 2]  Sending opCode: 7.connect,~?=13.VERSION_1_5_0,8.10.2.0.7,4.3389,6.domain,5.alice,~~guacpw~~?=,3.any~;",
    ),
    (
        "kasm-guac-buffer",
        true,
        r#"{"level":"error","key":{"type":"Buffer","data":[~pemdecimal~]},"code":"ERR_TLS"}"#,
    ),
    (
        "kasm-config",
        false,
        "      auth_token: ~!jwt~\n      public_jwt_cert: /opt/kasm/certs/jwt.pub\n      registration_token: ~!a26~",
    ),
];

/// Postgres, Redis, SQLAlchemy.
const STORES: &[Template] = &[
    (
        "postgres-statement",
        false,
        "< ~pg~ kasmapp postgres ~ip~(43512) 77  42601 ~pg~ 66~h6~.4d:>STATEMENT:  CREATE USER kasmapp WITH PASSWORD '~!a26~'",
    ),
    (
        "postgres-statement",
        false,
        "< ~pg~ postgres postgres ~ip~(43512) 77  00000 ~pg~ 66~h6~.4d:>LOG:  statement: ALTER ROLE kasmapp WITH ENCRYPTED PASSWORD '~!uuid~';",
    ),
    (
        "postgres-statement",
        false,
        "~pg~ [77] LOG:  AUDIT: SESSION,1,1,ROLE,CREATE ROLE,,,\"CREATE ROLE app LOGIN PASSWORD '~!a20~'\",<not logged>",
    ),
    (
        "postgres-detail",
        false,
        "~pg~ [77] ERROR:  duplicate key value violates unique constraint \"users_username_key\"\n~pg~ [77] DETAIL:  Key (username)=(~!email~) already exists.",
    ),
    (
        "postgres-conninfo",
        false,
        "~pg~ [77] ERROR:  could not connect to the primary server: host=db-1 port=5432 user=repl password=~!a24~ sslmode=require",
    ),
    (
        "sqlalchemy",
        false,
        "sqlalchemy.exc.IntegrityError: (psycopg2.errors.UniqueViolation) duplicate key [SQL: INSERT INTO users (username, pw_hash, salt) VALUES (%(username)s, %(pw_hash)s, %(salt)s)] [parameters: {'username': '~!email~', 'pw_hash': '~!h64~', 'salt': '~!uuid~', 'locked': False}]",
    ),
    (
        "sqlalchemy",
        true,
        r#"{"levelname": "ERROR", "message": "sqlalchemy.exc.OperationalError: postgresql://kasmapp:~!a26~@db:5432/kasm [parameters: {'pw_hash': '~!h64~', 'retries': 3}]", "process": "api"}"#,
    ),
    ("redis-command", false, "17830~d5~.~d6~ [0 ~ip~:50222] \"AUTH\" \"~!a26~\""),
    ("redis-command", false, "17830~d5~.~d6~ [0 ~ip~:50222] \"HELLO\" \"3\" \"AUTH\" \"default\" \"~!a26~\""),
    ("redis-command", false, "17830~d5~.~d6~ [0 ~ip~:50222] \"CONFIG\" \"SET\" \"requirepass\" \"~!a26~\""),
    (
        "redis-argv",
        false,
        "redis      1  0.1  0.2  ?  Ssl  10:00  0:03 redis-server --port 6379 --requirepass ~!a26~",
    ),
];

/// Private keys, registries and Kubernetes.
const KEYS: &[Template] = &[
    ("pem-lines", false, "loaded key:\n~pem~\ndone"),
    ("pem-lines", false, "~pem~"),
    ("pem-lines-logged", false, "~pemlogged~\n~klog~       1 tls.go:90] serving on :8443"),
    ("pem-lines-yaml", false, "data:\n  tls.key: |\n    ~pemindent~\n  port: 8443"),
    ("pem-one-line", false, "TLS_KEY=\"~pem1~\" started"),
    ("pem-one-line", false, "~py~ [ERROR] tls: cannot load '~pem1~\\n'"),
    ("pem-json", true, r#"{"msg":"cannot load","tls.key":"~pem1~\n","port":8443}"#),
    ("pem-json", true, r#"{"msg":"{\"tls.key\":\"~pem2~\\n\",\"port\":8443}"}"#),
    (
        "pgp",
        false,
        "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\n~!b64#1~\n~!b64#2~\n~!b38~~?==~\n~?==abcd~\n-----END PGP PRIVATE KEY BLOCK-----",
    ),
    (
        "putty",
        false,
        "PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\nComment: ~?=kasm~\nPublic-Lines: 2\n~?=AAAAC3NzaC1lZDI1NTE5AAAAI~~?b64#1~\n~?b16~\nPrivate-Lines: 1\n~!b44~\nPrivate-MAC: ~?h64~",
    ),
    (
        "jwk",
        true,
        r#"{"kty":"RSA","kid":"k~d3~","e":"AQAB","n":"~?w342~","d":"~!w342~","p":"~!w171~","q":"~!w171~"}"#,
    ),
    ("jwk", true, r#"{"kty":"EC","crv":"P-256","x":"~?w43~","y":"~?w43~","d":"~!w43~","use":"sig"}"#),
    ("wireguard", false, "[Interface]\nPrivateKey = ~!b43~~?==~\nListenPort = 51820"),
    (
        "docker-config",
        true,
        r#"{"auths":{"registry.~word~.io":{"username":"kasm","password":"~!a24~","auth":"~basic~"}}}"#,
    ),
    (
        "docker-config",
        true,
        r#"{"msg":"pull secret {\"auths\":{\"https://index.docker.io/v1/\":{\"auth\":\"~basic~\"}}}"}"#,
    ),
    (
        "k8s-secret",
        true,
        r#"{"apiVersion":"v1","kind":"Secret","metadata":{"name":"kasm-secrets","uid":"~uuid~"},"data":{"redis-password":"~base64pw~","db-password":"~base64pw~","manager-token":"~base64pw~"},"type":"Opaque"}"#,
    ),
    (
        "k8s-secret",
        false,
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: kasm-secrets\ndata:\n  redis-password: ~base64pw~\n  admin-password: ~base64pw~\ntype: Opaque",
    ),
    (
        "k8s-secret",
        true,
        r#"{"metadata":{"annotations":{"kubectl.kubernetes.io/last-applied-configuration":"{\"kind\":\"Secret\",\"stringData\":{\"user-password\":\"~!a26~\",\"service-token\":\"~!a26~\"}}\n"}}}"#,
    ),
    (
        "k8s-audit",
        true,
        r#"{"kind":"Event","auditID":"~uuid~","stage":"ResponseComplete","requestURI":"/api/v1/namespaces/kasm/pods?access_token=~!jwtkid~&limit=500","verb":"list","responseStatus":{"code":200}}"#,
    ),
    (
        "k8s-env",
        true,
        r#"{"spec":{"containers":[{"name":"db","env":[{"name":"POSTGRES_USER","value":"kasmapp"},{"name":"POSTGRES_PASSWORD","value":"~!a26~"},{"name":"PGDATA","value":"/var/lib/postgresql/data"}]}]}}"#,
    ),
    (
        "k8s-kubeconfig",
        false,
        "users:\n- name: default\n  user:\n    client-certificate-data: ~?b400~\n    client-key-data: ~!pembase64~\n",
    ),
    (
        "k3s-token",
        false,
        "~iso~ level=info msg=\"Run: k3s agent --server https://~ip~:6443 --token ~?=K10~~?h64~~?=::server:~~!h32~\"",
    ),
    (
        "kubeadm-join",
        false,
        "kubeadm join ~ip~:6443 --token ~!l6~~?=.~~!l16~ --discovery-token-ca-cert-hash sha256:~h64~",
    ),
    (
        "gcp-service-account",
        true,
        r#"{"type":"service_account","project_id":"kasm-~d5~","private_key_id":"~?h40~","private_key":"~pem1~~?=\n~","client_email":"~?email~","client_id":"~?d21~","token_uri":"https://oauth2.googleapis.com/token"}"#,
    ),
    (
        "aws-credentials",
        true,
        r#"{"Credentials":{"AccessKeyId":"~?=ASIA~~!s16~","SecretAccessKey":"~!b40~","SessionToken":"~!b300~~?===~","Expiration":"~iso~"}}"#,
    ),
    (
        "aws-credentials",
        false,
        "[default]\naws_access_key_id = ~?=AKIA~~!s16~\naws_secret_access_key = ~!b40~\nregion = eu-central-1",
    ),
];

/// Common tools around it.
const TOOLS: &[Template] = &[
    ("shell-env", false, "+ PGPASSWORD=~!a26~ psql -h db -U kasmapp -c 'select 1'"),
    ("shell-env", false, "+ PGPASSWORD='~!uuid~' pg_dump -h db kasm"),
    ("shell-user", false, "+ curl -sS -u ~?name~:~!a16~ https://~host~/v2/"),
    ("shell-user", false, "+ sshpass -p ~!a14~ ssh kasm@~ip~ uptime"),
    ("shell-user", false, "+ docker login registry.~word~.io -u kasm -p ~!a24~"),
    ("shell-user", false, "+ mysql -h db -u root -p~!a18~ app"),
    ("shell-user", false, "+ kasm-agent --username=kasm --password ~!a26~ --zone default"),
    ("netrc", false, "machine ~host~ login ~name~ password ~!a20~"),
    ("npmrc", false, "//registry.npmjs.org/:_authToken=~!npm~"),
    ("npmrc", false, "//npm.~host~/:_authToken=~!uuid~"),
    (
        "git-remote",
        false,
        "fatal: unable to access 'https://~!github~@github.com/~word~/~word~.git/': The requested URL returned error: 403",
    ),
    (
        "git-remote",
        false,
        "Cloning into 'app'... remote: https://oauth2:~?=glpat-~~!w20~@gitlab.~word~.io/~word~/app.git",
    ),
    (
        "pip-index",
        false,
        "Looking in indexes: https://pypi.org/simple, https://~name~:~!a32~@pypi.~host~/simple",
    ),
    (
        "rails-parameters",
        false,
        "Parameters: {\"utf8\"=>\"✓\", \"user\"=>{\"login\"=>\"~name~\", \"password\"=>\"~!a14~\"}, \"commit\"=>\"Sign in\"}",
    ),
    ("properties", false, "spring.datasource.password=~!a20~"),
    (
        "properties",
        false,
        "2026-07-07 10:00:00 DEBUG o.e.Env - Found key 'spring.datasource.password' in PropertySource with value '~!a20~'",
    ),
    ("django", false, "SECRET_KEY = '~?=django-insecure-~~!l50~'"),
    ("collector-debug", false, "     -> http.request.header.authorization: Str(Bearer ~!a40~)"),
    ("collector-debug", false, "     -> url.full: Str(https://~host~/api/kasm_session_log?token=~!jwt~)"),
    ("collector-debug", false, "     -> db.password: Str(~!a26~)"),
    (
        "bytes-json",
        false,
        "~py~ [DEBUG] client_api_server: body b'{\"username\": \"~name~\", \"password\": \"~!a14~\", \"remember\": true}'",
    ),
    (
        "auditd",
        false,
        "type=EXECVE msg=audit(17830~d5~.~d3~:~n~): argc=3 a0=\"agent\" a1=\"--password\" a2=\"~!a18~\"",
    ),
    ("auditd", false, "type=EXECVE msg=audit(17830~d5~.~d3~:~n~): argc=2 a0=\"agent\" a1=\"--token=~!a26~\""),
    (
        "vault-table",
        false,
        "Key                  Value\n---                  -----\ntoken                ~?=hvs.~~!w90~\ntoken_accessor       ~?a24~\ntoken_duration       768h",
    ),
    ("vnc-kasmpasswd", false, "kasm_user:~?=$5$kasm$~~!c43~:ow"),
    ("shadow", false, "root:~?=$6$~~!c16~~?=$~~!c86~:19500:0:99999:7:::"),
    ("htpasswd", false, "~name~:~?=$apr1$~~!c8~~?=$~~!c22~"),
    (
        "go-struct",
        false,
        "~klog~       1 config.go:31] loaded {Host:db Port:5432 User:kasmapp Password:~!a26~ SSLMode:require}",
    ),
    (
        "go-struct",
        false,
        "~klog~       1 config.go:31] loaded &config.DB{Host:\"db\", Port:5432, Password:\"~!a26~\", SSLMode:\"require\"}",
    ),
    (
        "grpc-metadata",
        false,
        "~iso~ DEBUG metadata: map[:authority:[collector:4317] authorization:[Bearer ~!a40~] user-agent:[grpc-go/1.70.0]]",
    ),
    ("two-secrets", false, "~py~ [DEBUG] agent: password=~!a20~ token=~!jwt~ api_key='~!a32~' for ~!email~"),
    (
        "two-secrets",
        true,
        r#"{"password":"~!a20~","nested":{"client_secret":"~!a32~"},"list":["~!github~","x"],"card":"~!card~","kasm_id":"~uuid~"}"#,
    ),
];
