//! x
use std::io::{Read,Write};
use kasm_scrub::*;
struct O(std::io::Stdout);
impl Out for O { fn write(&mut self,b:&[u8]){ let _=self.0.write_all(b); } }
fn examples(){
    let mut bad=0; let mut n=0;
    for p in Profile::ALL {
        let rules=match Ruleset::load(true,&[]){Ok(r)=>r,Err(e)=>{eprintln!("{e}");std::process::exit(2)}}.into_profile(p,|_|true);
        let s=Sanitizer::new(sanitize::Parts{rules,..Default::default()}).unwrap();
        for r in s.rules().rules() { if r.profile!=p {continue}
            for e in &r.examples { n+=1; let raw=e.clone();
                let e=match rules::example::Example::parse(e){Ok(e)=>e,Err(e)=>{println!("BADEX {} {:?}",r.id,e);continue}};
                let mut out=Vec::new(); let mut w=Scrubber::new(&s); w.push(e.text.as_bytes(),&mut out); w.finish(&mut out);
                let got=String::from_utf8_lossy(&out);
                if got!=e.want { bad+=1; println!("== {}:{} {}\n  raw  {raw}\n  text {}\n  want {}\n  got  {}",r.origin.file,r.origin.line,r.id,e.text,e.want,got); }
                let mut out2=Vec::new(); let mut w=Scrubber::new(&s); w.push(&out,&mut out2); w.finish(&mut out2);
                if out2!=out { bad+=1; println!("== NOT IDEMPOTENT {}\n  once {}\n  twice {}",r.id,got,String::from_utf8_lossy(&out2)); }
            }
        }
    }
    println!("{n} examples, {bad} bad");
}
fn main(){
    if std::env::args().nth(1).as_deref()==Some("examples"){ return examples(); }
    let t=std::time::Instant::now();
    let mut p=Profile::Default; let mut builtin=true; let mut files=vec![]; let mut v=false;
    let mut args=std::env::args().skip(1);
    while let Some(a)=args.next(){ match &*a { "--rules"=>files.push(args.next().unwrap()), "--no-builtin"=>builtin=false, "-v"=>v=true, x=>p=Profile::by_name(x).unwrap() } }
    let texts:Vec<_>=files.iter().map(|f|(f.clone(),std::fs::read_to_string(f).unwrap())).collect();
    let rf:Vec<_>=texts.iter().map(|(n,t)|RuleFile{name:n,text:t}).collect();
    let rules=match Ruleset::load(builtin,&rf){Ok(r)=>r,Err(e)=>{eprintln!("{e}");std::process::exit(2)}};
    if v {eprintln!("load {:?} {} rules", t.elapsed(), rules.rules().len());}
    let rules=rules.into_profile(p,|_|true);
    let s=Sanitizer::new(sanitize::Parts{rules,..Default::default()}).unwrap();
    if v {eprintln!("ready {:?}", t.elapsed());
     for r in s.rules().rules() { if let rules::Detect::Regex{anchors,..}=&r.detect { if anchors.is_empty() {eprintln!("everywhere {}",r.id)} } }
    }
    if v { s.scanner().stats(&std::fs::read("/tmp/w/loghub.txt").unwrap()); }
    let mut w=Scrubber::new(&s);
    let mut o=O(std::io::stdout());
    let mut buf=vec![0u8;1<<18];
    let mut i=std::io::stdin();
    loop{ let n=i.read(&mut buf).unwrap(); if n==0{break} w.push(&buf[..n],&mut o);}
    w.finish(&mut o);
}
