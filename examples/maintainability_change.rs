//! One new rule, two programs that do the same: how many functions must change?
//!
//! A shop charges for delivery. Five functions need to know what it costs: the
//! cart, the charge, the mail, the invoice and the refund. In `tangled` each of
//! them works it out; in `separated` they ask one function. Then the rule
//! changes. Look at `touched`: the functions whose code differs.
//!
//! The count is taken from the code that is compiled: the macro `version!` keeps
//! each function's text beside the function. Simplified: a function stands for
//! whatever has to be found, understood, changed and reviewed on its own.

/// Money in hundredths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Cents(u64);

#[derive(Clone, Copy, Debug)]
struct Order {
    goods: Cents,
    abroad: bool,
}

/// What a customer meets. Both programs promise the same.
struct Shop {
    cart: fn(Order) -> Cents,
    charge: fn(Order) -> Cents,
    mail: fn(Order) -> String,
    invoice: fn(Order) -> String,
    /// What comes back when a customer withdraws: goods and delivery.
    refund: fn(Order) -> Cents,
    /// Each function's name and its text.
    text: &'static [(&'static str, &'static str)],
}

/// Compiles a program and keeps its text, function by function.
macro_rules! version {
    ($name:ident {
        $(fn $f:ident($($arg:ident: $t:ty),*) -> $r:ty $body:block)*
    }) => {
        mod $name {
            use super::{Cents, Order, Shop};
            $(fn $f($($arg: $t),*) -> $r $body)*
            pub const SHOP: Shop = Shop {
                cart, charge, mail, invoice, refund,
                text: &[$((stringify!($f), stringify!($body))),*],
            };
        }
    };
}

// ANCHOR: tangled
// Delivery costs 4.90, from 50.00 on nothing.
version!(tangled {
    fn cart(o: Order) -> Cents {
        Cents(if o.goods.0 < 50_00 { o.goods.0 + 4_90 } else { o.goods.0 })
    }
    fn charge(o: Order) -> Cents {
        if o.goods.0 >= 50_00 { return o.goods; }
        Cents(o.goods.0 + 490)
    }
    fn mail(o: Order) -> String {
        let free = o.goods >= Cents(5_000);
        format!("Delivery: {}", if free { "free" } else { "4.90" })
    }
    fn invoice(o: Order) -> String {
        let fee = u64::from(o.goods.0 < 50_00) * 4_90;
        format!("goods {} delivery {fee}", o.goods.0)
    }
    fn refund(o: Order) -> Cents {
        let mut back = o.goods;
        if o.goods.0 < 50_00 { back.0 += 4_90; }
        back
    }
});
// ANCHOR_END: tangled

// ANCHOR: separated
version!(separated {
    fn delivery(o: Order) -> Cents {
        Cents(if o.goods.0 < 50_00 { 4_90 } else { 0 })
    }
    fn total(o: Order) -> Cents { Cents(o.goods.0 + delivery(o).0) }
    fn cart(o: Order) -> Cents { total(o) }
    fn charge(o: Order) -> Cents { total(o) }
    fn mail(o: Order) -> String {
        match delivery(o) {
            Cents(0) => "Delivery: free".to_owned(),
            Cents(fee) => format!("Delivery: {}.{:02}", fee / 100, fee % 100),
        }
    }
    fn invoice(o: Order) -> String {
        format!("goods {} delivery {}", o.goods.0, delivery(o).0)
    }
    fn refund(o: Order) -> Cents { total(o) }
});
// ANCHOR_END: separated

// The new rule: abroad it always costs 14.90; at home it is free from 80.00 on.
version!(tangled_changed {
    fn cart(o: Order) -> Cents {
        if o.abroad { return Cents(o.goods.0 + 14_90); }
        Cents(if o.goods.0 < 80_00 { o.goods.0 + 4_90 } else { o.goods.0 })
    }
    fn charge(o: Order) -> Cents {
        if o.abroad { return Cents(o.goods.0 + 1490); }
        if o.goods.0 >= 80_00 { return o.goods; }
        Cents(o.goods.0 + 490)
    }
    fn mail(o: Order) -> String {
        let free = o.goods >= Cents(8_000) && !o.abroad;
        let fee = if o.abroad { "14.90" } else { "4.90" };
        format!("Delivery: {}", if free { "free" } else { fee })
    }
    fn invoice(o: Order) -> String {
        let home = u64::from(o.goods.0 < 80_00) * 4_90;
        let fee = if o.abroad { 14_90 } else { home };
        format!("goods {} delivery {fee}", o.goods.0)
    }
    fn refund(o: Order) -> Cents {
        let mut back = o.goods;
        if o.abroad { back.0 += 14_90; }
        else if o.goods.0 < 80_00 { back.0 += 4_90; }
        back
    }
});

version!(separated_changed {
    fn delivery(o: Order) -> Cents {
        if o.abroad { return Cents(14_90); }
        Cents(if o.goods.0 < 80_00 { 4_90 } else { 0 })
    }
    fn total(o: Order) -> Cents { Cents(o.goods.0 + delivery(o).0) }
    fn cart(o: Order) -> Cents { total(o) }
    fn charge(o: Order) -> Cents { total(o) }
    fn mail(o: Order) -> String {
        match delivery(o) {
            Cents(0) => "Delivery: free".to_owned(),
            Cents(fee) => format!("Delivery: {}.{:02}", fee / 100, fee % 100),
        }
    }
    fn invoice(o: Order) -> String {
        format!("goods {} delivery {}", o.goods.0, delivery(o).0)
    }
    fn refund(o: Order) -> Cents { total(o) }
});

// ANCHOR: touched
/// The functions that differ between two versions of a program, or are in one
/// of them only.
fn touched(before: &Shop, after: &Shop) -> Vec<&'static str> {
    let same = |one: &(&str, &str), shop: &Shop| shop.text.contains(one);
    let changed = after.text.iter().filter(|one| !same(one, before));
    let mut names: Vec<&str> = changed.map(|(name, _)| *name).collect();
    for (name, _) in before.text {
        if !after.text.iter().any(|(other, _)| other == name) {
            names.push(name); // it is gone
        }
    }
    names
}
// ANCHOR_END: touched

// ANCHOR: behaviour
/// What the customer is promised, whichever program keeps it: each place names
/// the same fee. The answer is the first broken promise.
fn check(shop: &Shop, fee_of: fn(Order) -> u64) -> Result<(), String> {
    for goods in (0..=12_000).step_by(10) {
        for abroad in [false, true] {
            let order = Order {
                goods: Cents(goods),
                abroad,
            };
            let (fee, total) = (fee_of(order), Cents(goods + fee_of(order)));
            let words = match fee {
                0 => "Delivery: free".to_owned(),
                fee => format!("Delivery: {}.{:02}", fee / 100, fee % 100),
            };
            let invoice = format!("goods {goods} delivery {fee}");
            for (kept, what) in [
                ((shop.cart)(order) == total, "cart"),
                ((shop.charge)(order) == total, "charge"),
                ((shop.mail)(order) == words, "mail"),
                ((shop.invoice)(order) == invoice, "invoice"),
                ((shop.refund)(order) == total, "refund"),
            ] {
                if !kept {
                    return Err(format!("{what} is wrong for {order:?}"));
                }
            }
        }
    }
    Ok(())
}
// ANCHOR_END: behaviour

fn old_fee(order: Order) -> u64 {
    if order.goods.0 < 50_00 {
        4_90
    } else {
        0
    }
}

fn new_fee(order: Order) -> u64 {
    match (order.abroad, order.goods.0) {
        (true, _) => 14_90,
        (false, 0..=79_99) => 4_90,
        (false, _) => 0,
    }
}

fn main() {
    let verdict = |shop: &Shop, fee| match check(shop, fee) {
        Ok(()) => "kept".to_owned(),
        Err(broken) => broken,
    };
    println!("the promise          tangled  separated");
    let old = [&tangled::SHOP, &separated::SHOP].map(|shop| verdict(shop, old_fee));
    println!("old rule, old code   {:7}  {}", old[0], old[1]);
    let new = [&tangled_changed::SHOP, &separated_changed::SHOP];
    let new = new.map(|shop| verdict(shop, new_fee));
    println!("new rule, new code   {:7}  {}", new[0], new[1]);

    println!("\ntouched by the new rule");
    for (name, before, after) in [
        ("tangled", tangled::SHOP, tangled_changed::SHOP),
        ("separated", separated::SHOP, separated_changed::SHOP),
    ] {
        let touched = touched(&before, &after);
        let (n, of) = (touched.len(), after.text.len());
        println!("{name:9}  {n} of {of}: {}", touched.join(", "));
    }

    println!("\nthe new rule, with one place forgotten");
    for (name, shop) in forgetful() {
        println!("{name:8} {}", verdict(&shop, new_fee));
    }
}

/// The changed tangled program, with one function left as it was.
fn forgetful() -> [(&'static str, Shop); 5] {
    let (old, new) = (tangled::SHOP, || tangled_changed::SHOP);
    [
        (
            "cart",
            Shop {
                cart: old.cart,
                ..new()
            },
        ),
        (
            "charge",
            Shop {
                charge: old.charge,
                ..new()
            },
        ),
        (
            "mail",
            Shop {
                mail: old.mail,
                ..new()
            },
        ),
        (
            "invoice",
            Shop {
                invoice: old.invoice,
                ..new()
            },
        ),
        (
            "refund",
            Shop {
                refund: old.refund,
                ..new()
            },
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tangled_and_separated_keep_the_same_promise_before_and_after() {
        assert_eq!(check(&tangled::SHOP, old_fee), Ok(()));
        assert_eq!(check(&separated::SHOP, old_fee), Ok(()));
        assert_eq!(check(&tangled_changed::SHOP, new_fee), Ok(()));
        assert_eq!(check(&separated_changed::SHOP, new_fee), Ok(()));
    }

    #[test]
    fn the_new_rule_touches_five_functions_or_one() {
        let five = touched(&tangled::SHOP, &tangled_changed::SHOP);
        assert_eq!(five, ["cart", "charge", "mail", "invoice", "refund"]);
        let one = touched(&separated::SHOP, &separated_changed::SHOP);
        assert_eq!(one, ["delivery"]);
    }

    #[test]
    fn unchanged_code_is_not_touched_and_a_function_that_goes_is() {
        assert!(touched(&tangled::SHOP, &tangled::SHOP).is_empty());
        let gone = touched(&separated::SHOP, &tangled::SHOP);
        assert!(gone.ends_with(&["delivery", "total"]), "{gone:?}");
    }

    #[test]
    fn whichever_place_is_forgotten_the_promise_names_it() {
        for (name, shop) in forgetful() {
            let broken = check(&shop, new_fee).expect_err(name);
            assert!(broken.starts_with(name), "{name}: {broken}");
        }
    }

    #[test]
    fn the_promise_is_tried_at_home_and_abroad_and_on_both_sides_of_each_limit() {
        let other_rules: [fn(Order) -> u64; 4] = [
            |o| new_fee(o) + u64::from(o.abroad && o.goods.0 == 0),
            |o| new_fee(o) + u64::from(!o.abroad && o.goods.0 == 79_90),
            |o| new_fee(o) + u64::from(!o.abroad && o.goods.0 == 80_00),
            |o| new_fee(o) + u64::from(o.goods.0 == 120_00),
        ];
        for (nth, rule) in other_rules.into_iter().enumerate() {
            assert!(check(&tangled_changed::SHOP, rule).is_err(), "rule {nth}");
            assert!(check(&separated_changed::SHOP, rule).is_err(), "rule {nth}");
        }
    }

    #[test]
    fn the_old_code_breaks_the_new_promise() {
        assert!(check(&separated::SHOP, new_fee).is_err());
    }
}
