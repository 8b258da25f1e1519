//! The Run button sends a block to the public playground: crates that it does not have.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use proc_macro2::{Ident, TokenStream, TokenTree};
use syn::visit::{self, Visit};

use super::Finding;
use super::site::Site;

/// The playground's crates, one a line: package, version, name usable in `use`.
const CRATES: &str = include_str!("../../../assets/playground-crates.txt");

/// The roots of paths that are no crates, or are crates everywhere.
const NO_CRATES: [&str; 8] = [
    "std",
    "core",
    "alloc",
    "proc_macro",
    "crate",
    "self",
    "super",
    "Self",
];

/// Finds blocks with a Run button that the playground cannot run.
pub(crate) fn check(site: &Site, findings: &mut Vec<Finding>) {
    let available: BTreeSet<&str> = CRATES
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_whitespace().nth(2))
        .collect();
    let manifest = site.tree.files.get(Path::new("snippets/Cargo.toml"));
    let dependencies = manifest
        .map(|file| dependencies(&file.text))
        .unwrap_or_default();
    for page in site.chapters() {
        for block in &page.blocks {
            if !block.is_rust() || block.has("noplayground") {
                continue;
            }
            let program = block.program(&site.tree, page.folder());
            for (name, line) in crates(&program, &dependencies) {
                if !available.contains(name.as_str()) {
                    let message = format!(
                        "crate {name} is not in the public playground: add `noplayground` \
                         and the `cargo run --example` line"
                    );
                    findings.push(Finding::new(&page.path, line, message));
                }
            }
        }
    }
}

/// The names, as `use` spells them, of the packages in a manifest's `[dependencies]`.
fn dependencies(manifest: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut inside = false;
    for line in manifest.lines().map(str::trim) {
        if let Some(table) = line.strip_prefix('[') {
            let table = table.trim_end_matches(']');
            inside = table == "dependencies";
            names.extend(
                table
                    .strip_prefix("dependencies.")
                    .map(|name| name.replace('-', "_")),
            );
        } else if inside && let Some((name, _)) = line.split_once('=') {
            let name = name.split('.').next().unwrap_or_default().trim();
            if !name.starts_with('#') {
                names.insert(name.trim_matches('"').replace('-', "_"));
            }
        }
    }
    names
}

/// The crates that a program names, each with the page's line that first does.
fn crates(program: &[(usize, String)], dependencies: &BTreeSet<String>) -> BTreeMap<String, usize> {
    let code: Vec<&str> = program.iter().map(|(_, line)| line.as_str()).collect();
    // Whether it parses is for the compiler to say, which tells why.
    let Ok(file) = syn::parse_file(&code.join("\n")) else {
        return BTreeMap::new();
    };
    let mut names = Names {
        dependencies,
        found: Vec::new(),
        own: BTreeSet::new(),
    };
    names.visit_file(&file);
    let mut crates = BTreeMap::new();
    for (name, line) in &names.found {
        if !names.own.contains(name) && !NO_CRATES.contains(&name.as_str()) {
            let place = program
                .get(line.saturating_sub(1))
                .map_or(1, |(number, _)| *number);
            let first = crates.entry(name.clone()).or_insert(place);
            *first = place.min(*first);
        }
    }
    crates
}

/// Collects what may be the name of a crate, and what the program names itself.
struct Names<'a> {
    dependencies: &'a BTreeSet<String>,
    found: Vec<(String, usize)>,
    own: BTreeSet<String>,
}

impl Names<'_> {
    fn found(&mut self, name: &Ident) {
        self.found
            .push((name.to_string(), name.span().start().line));
    }

    /// The first name of `use a::b`, or of each branch of `use {a::b, c}`.
    fn roots(&mut self, tree: &syn::UseTree) {
        match tree {
            syn::UseTree::Path(path) => self.found(&path.ident),
            syn::UseTree::Name(name) => self.found(&name.ident),
            syn::UseTree::Rename(rename) => self.found(&rename.ident),
            syn::UseTree::Group(group) => group.items.iter().for_each(|tree| self.roots(tree)),
            syn::UseTree::Glob(_) => {}
        }
    }

    /// The names that a `use` brings in from below its root.
    fn leaves(&mut self, tree: &syn::UseTree, below: bool) {
        match tree {
            syn::UseTree::Path(path) => self.leaves(&path.tree, true),
            syn::UseTree::Name(name) if below => {
                self.own.insert(name.ident.to_string());
            }
            syn::UseTree::Rename(rename) => {
                self.own.insert(rename.rename.to_string());
            }
            syn::UseTree::Group(group) => {
                group.items.iter().for_each(|tree| self.leaves(tree, below));
            }
            _ => {}
        }
    }

    /// `name::` among the arguments of a macro, which are no syntax tree yet.
    fn tokens(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let is_colon = |index: usize| matches!(tokens.get(index), Some(TokenTree::Punct(mark)) if mark.as_char() == ':');
        for (index, token) in tokens.iter().enumerate() {
            match token {
                TokenTree::Group(group) => self.tokens(group.stream()),
                TokenTree::Ident(name) => {
                    let is_root = index < 2 || !(is_colon(index - 1) && is_colon(index - 2));
                    if is_root
                        && is_colon(index + 1)
                        && is_colon(index + 2)
                        && self.dependencies.contains(&name.to_string())
                    {
                        self.found(name);
                    }
                }
                _ => {}
            }
        }
    }
}

impl<'ast> Visit<'ast> for Names<'_> {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.roots(&item.tree);
        self.leaves(&item.tree, false);
    }

    fn visit_item_extern_crate(&mut self, item: &'ast syn::ItemExternCrate) {
        self.found(&item.ident);
        self.own
            .extend(item.rename.as_ref().map(|(_, name)| name.to_string()));
    }

    fn visit_item(&mut self, item: &'ast syn::Item) {
        let own = match item {
            syn::Item::Const(item) => Some(&item.ident),
            syn::Item::Enum(item) => Some(&item.ident),
            syn::Item::Fn(item) => Some(&item.sig.ident),
            syn::Item::Macro(item) => item.ident.as_ref(),
            syn::Item::Mod(item) => Some(&item.ident),
            syn::Item::Static(item) => Some(&item.ident),
            syn::Item::Struct(item) => Some(&item.ident),
            syn::Item::Trait(item) => Some(&item.ident),
            syn::Item::Type(item) => Some(&item.ident),
            syn::Item::Union(item) => Some(&item.ident),
            _ => None,
        };
        self.own.extend(own.map(Ident::to_string));
        visit::visit_item(self, item);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if let Some(first) = path.segments.first()
            && path.segments.len() > 1
            && (path.leading_colon.is_some()
                || self.dependencies.contains(&first.ident.to_string()))
        {
            self.found(&first.ident);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.tokens(call.tokens.clone());
        visit::visit_macro(self, call);
    }

    fn visit_meta_list(&mut self, list: &'ast syn::MetaList) {
        self.tokens(list.tokens.clone());
        visit::visit_meta_list(self, list);
    }
}
