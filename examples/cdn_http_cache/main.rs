//! An HTTP cache.
mod cache;
use cache::*;

fn main() {
    let mut cache = Cache::new(Config::shared());
    let request = Request::get("https://site.example/");
    let Step::Forward(fetch) = cache.request(&request, 100) else {
        return;
    };
    let page = Response::new(200, "page").with("cache-control", "max-age=60");
    println!("{:?}", cache.received(fetch, page, 100));
    println!("{:?}", cache.request(&request, 130));
}
