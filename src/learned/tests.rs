//! Values in texts, found and not found.

use super::*;

fn learn(values: &[&str]) -> Learned {
    let named = values
        .iter()
        .enumerate()
        .map(|(i, value)| Named { name: format!("V{i}"), value: Zeroizing::new(value.as_bytes().to_vec()) });
    let learned = Learned::new(named, LEAST_LEAST);
    assert_eq!(learned.refused(), []);
    learned
}

/// What is found of `value`, united where it overlaps.
fn check(value: &str, text: &str, want: &[&str]) {
    let mut work = Work::default();
    let learned = learn(&[value]);
    let mut got: Vec<Range<usize>> = Vec::new();
    for found in learned.scan(text.as_bytes(), &mut work) {
        match got.last_mut() {
            Some(last) if found.start < last.end => last.end = last.end.max(found.end),
            _ => got.push(found.start..found.end),
        }
    }
    let got: Vec<&str> = got.into_iter().map(|range| &text[range]).collect();
    assert_eq!(got, want, "{value} in {text}");
}

#[test]
fn as_it_is() {
    check("DeadBeef", "a DeadBeef,DeadBeefDeadBeef", &["DeadBeef", "DeadBeef", "DeadBeef"]);
    check("DeadBeef", "deadbeef DeadBee DeadBeeg eadBeef", &[]);
    check("ab1ab1ab1c", "ab1ab1ab1ab1ab1c", &["ab1ab1ab1c"]);
    check("aXbaXbaXba1", "aXbaXbaXbaXbaXba1aXbaXba1", &["aXbaXbaXba1"]);
}

#[test]
fn in_escapes() {
    check(
        "DeadBeef",
        r"x\u0044eadBeef %44eadBeef %2544ead%42ee%66",
        &[r"\u0044eadBeef", "%44eadBeef", "%2544ead%42ee%66"],
    );
    check(
        r#"De"ad\Beef"#,
        r#"{"a":"De\"ad\\Beef","b":"{\"c\":\"De\\\"ad\\\\Beef\"}"}"#,
        &[r#"De\"ad\\Beef"#, r#"De\\\"ad\\\\Beef"#],
    );
    check(
        "D3ad Beef 77",
        "a=D3ad+Beef+77&b=D3ad%20Beef%2077&c=D3ad%20Beef+77",
        &["D3ad+Beef+77", "D3ad%20Beef%2077", "D3ad%20Beef+77"],
    );
    check("41Dead77", "100%41Dead77 %34%31Dead77 %41%44ead77", &["41Dead77", "%34%31Dead77", "41%44ead77"]);
    // Each byte of an escape is encoded again.
    check(
        "a1baaada",
        "a1%25%35%63%75%30%30%36%32%25%35%63%75%30%30%36%31aada",
        &["a1%25%35%63%75%30%30%36%32%25%35%63%75%30%30%36%31aada"],
    );
    check(
        "a1baaada",
        "%61%31%25%35%63%55%30%30%30%30%30%30%36%32%25%35%63%55%30%30%30%30%30%30%36%31aada",
        &["%61%31%25%35%63%55%30%30%30%30%30%30%36%32%25%35%63%55%30%30%30%30%30%30%36%31aada"],
    );
    // What stands behind reads as the end of an escape that the value only begins, and what is in front as its start.
    check(r#"a%"\ua4a"#, r#"a%25%22%5cua4aa%"\ua4a"#, &["a%25%22%5cua4a", r#"a%"\ua4a"#]);
    check(r"4\\n4%%0", r"4\\n4%%04%5c%5cn4%25%25004\\n4%%0", &[r"4\\n4%%0", "4%5c%5cn4%25%250", r"4\\n4%%0"]);
    check("nDead/77x", r"\nDead\/77x \\nDead\/77x", &[r"nDead\/77x", r"nDead\/77x"]);
}

#[test]
fn in_base64() {
    // "user:DeadBeef", "x:DeadBeef!", "DeadBeef"
    check("DeadBeef", "Basic dXNlcjpEZWFkQmVlZg== x", &["pEZWFkQmVlZg"]);
    check("DeadBeef", "Basic eDpEZWFkQmVlZiE= x", &["pEZWFkQmVlZi"]);
    check("DeadBeef", "RGVhZEJlZWY=", &["RGVhZEJlZWY"]);
    check("D3adBe\\", r#""D3adBe\\\"" "D3adBe\\\\""#, &[r"D3adBe\\", r"D3adBe\\\\"]);
    check("De?>ad~~~", "a=RGU%2FPmFkfn5+ b=RGU_PmFkfn5-", &["RGU%2FPmFkfn5+", "RGU_PmFkfn5-"]);
}

#[test]
fn long_values_are_followed() {
    let value: String = (0..20_000).map(|i| char::from(b'a' + (i * i / 7 % 26) as u8)).collect();
    let learned = learn(&[&value]);
    let mut work = Work::default();
    let half = format!("x {}\n", &value[..15_000]);
    assert!(learned.scan(half.as_bytes(), &mut work).contains(&Match { start: 2, end: 15_002, value: 0 }));
    let escaped = format!("x {}%{:02x}{}", &value[..5000], value.as_bytes()[5000], &value[5001..]);
    assert!(learned.scan(escaped.as_bytes(), &mut work).contains(&Match { start: 2, end: 20_004, value: 0 }));
}

#[test]
fn nothing_is_shown() {
    let learned = learn(&["DeadBeef1234"]);
    let mut work = Work::default();
    learned.scan(br"DeadBeef1234 \u0044eadBeef1234", &mut work);
    let named = Named { name: "X".to_owned(), value: Zeroizing::new(b"DeadBeef1234".to_vec()) };
    let shown = format!("{learned:?} {work:?} {named:?} {:?}", Learned::new([], 8)).to_lowercase();
    for part in ["dead", "beef", "rgvhz", "68, 101"] {
        assert!(!shown.contains(part), "{shown}");
    }
}
