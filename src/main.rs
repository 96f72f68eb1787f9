//! x
use std::io::{Read,Write};
use kasm_scrub::*;
struct O(std::io::Stdout);
impl Out for O { fn write(&mut self,b:&[u8]){ let _=self.0.write_all(b); } }
fn main(){
    let t=std::time::Instant::now();
    let mut p=Profile::Default; let mut builtin=true; let mut files=vec![];
    let mut args=std::env::args().skip(1);
    while let Some(a)=args.next(){ match &*a { "--rules"=>files.push(args.next().unwrap()), "--no-builtin"=>builtin=false, x=>p=Profile::by_name(x).unwrap() } }
    let texts:Vec<_>=files.iter().map(|f|(f.clone(),std::fs::read_to_string(f).unwrap())).collect();
    let rf:Vec<_>=texts.iter().map(|(n,t)|RuleFile{name:n,text:t}).collect();
    let rules=match Ruleset::load(builtin,&rf){Ok(r)=>r,Err(e)=>{eprintln!("{e}");std::process::exit(2)}};
    eprintln!("load {:?} {} rules", t.elapsed(), rules.rules().len());
    let rules=rules.into_profile(p,|_|true);
    let s=Sanitizer::new(sanitize::Parts{rules,..Default::default()}).unwrap();
    eprintln!("ready {:?} {:?}", t.elapsed(), s.scanner());
    let mut w=Scrubber::new(&s);
    let mut o=O(std::io::stdout());
    let mut buf=vec![0u8;1<<18];
    let mut i=std::io::stdin();
    loop{ let n=i.read(&mut buf).unwrap(); if n==0{break} w.push(&buf[..n],&mut o);}
    w.finish(&mut o);
}
