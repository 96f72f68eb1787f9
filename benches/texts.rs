//! Texts to measure on, made from a fixed seed: log lines and Kasm-shaped JSON, clean or with passwords.

/// Random numbers (Marsaglia's xorshift64), the same in every run.
pub(crate) struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn pick<'t>(&mut self, words: &[&'t str]) -> &'t str {
        words[(self.next() % words.len() as u64) as usize]
    }
}

/// What marks a line with a secret, so that they can be counted without the engine.
pub(crate) const MARK: &str = "rotated for agent";

pub(crate) fn secrets(text: &[u8]) -> usize {
    memchr::memmem::find_iter(text, MARK).count()
}

/// At least `size` bytes of whole lines; one line in `every` holds a password.
pub(crate) fn text(size: usize, line: fn(&mut Vec<u8>, &mut Dice), every: Option<usize>) -> Vec<u8> {
    let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
    let mut text = Vec::with_capacity(size + 1024);
    let mut number = 0;
    while text.len() < size {
        let from = text.len();
        line(&mut text, &mut dice);
        number += 1;
        if every.is_some_and(|every| number % every == 0) {
            let secret = format!("{:016x}", dice.next());
            let is_json = text[from] == b'{';
            text.pop();
            if is_json {
                text.pop();
                text.extend(format!(",\"note\":\"{MARK}\",\"password\":\"x{secret}\"}}\n").bytes());
            } else {
                text.extend(format!(" {MARK} password=x{secret}\n").bytes());
            }
        }
    }
    text
}

const MODULES: [&str; 8] =
    ["kasm_api", "manager_api", "provision", "client_api", "agent", "share", "rdp_gateway", "autoscaler"];
const MESSAGES: [&str; 10] = [
    "session created on zone default",
    "container is healthy, waiting for the first frame",
    "request completed",
    "image kasmweb/desktop:1.17.0 is present on the agent",
    "heartbeat received, 12 of 40 cores and 31 of 96 GiB in use",
    "usage limit checked for group All Users",
    "server reported 3 idle sessions, none expired",
    "keepalive extended the session by 3600 seconds",
    "no autoscale action needed",
    "connection closed by the client after 120.4 s",
];

pub(crate) fn log_line(out: &mut Vec<u8>, dice: &mut Dice) {
    let n = dice.next();
    let line = format!(
        "2026-03-{:02}T{:02}:{:02}:{:02}.{:03}Z {} [{}] {} kasm_id={:016x}{:016x} duration_ms={} status={}\n",
        n % 28 + 1,
        (n >> 8) % 24,
        (n >> 16) % 60,
        (n >> 24) % 60,
        (n >> 32) % 1000,
        dice.pick(&["INFO", "DEBUG", "WARNING", "INFO"]),
        dice.pick(&MODULES),
        dice.pick(&MESSAGES),
        dice.next(),
        dice.next(),
        (n >> 40) % 5000,
        dice.pick(&["200", "204", "404", "200"]),
    );
    out.extend_from_slice(line.as_bytes());
}

pub(crate) fn json_line(out: &mut Vec<u8>, dice: &mut Dice) {
    let n = dice.next();
    let line = format!(
        concat!(
            "{{\"asctime\":\"2026-03-{:02} {:02}:{:02}:{:02},{:03}\",\"name\":\"{}\",\"levelname\":\"{}\",",
            "\"process\":{},\"message\":\"{}\",\"kasm_id\":\"{:016x}{:016x}\",\"request_ip\":null,",
            "\"http\":{{\"method\":\"POST\",\"path\":\"/api/public/{}\",\"status\":{},\"ms\":{}}}}}\n"
        ),
        n % 28 + 1,
        (n >> 8) % 24,
        (n >> 16) % 60,
        (n >> 24) % 60,
        (n >> 32) % 1000,
        dice.pick(&MODULES),
        dice.pick(&["INFO", "DEBUG", "WARNING", "INFO"]),
        (n >> 20) % 900 + 20,
        dice.pick(&MESSAGES),
        dice.next(),
        dice.next(),
        dice.pick(&["get_kasms", "request_kasm", "keepalive", "get_zones"]),
        dice.pick(&["200", "204", "404"]),
        (n >> 40) % 5000,
    );
    out.extend_from_slice(line.as_bytes());
}
