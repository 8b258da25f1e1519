//! The shop in SQL. SQLite and PostgreSQL both take it as it stands.

/// Its tables. PostgreSQL knows no `blob`: there the photo is of [`BYTEA`].
// ANCHOR: schema
pub const SCHEMA: &str = "
create table customers(id integer primary key, name text not null);
create table products(id integer primary key, name text not null,
    price_cents integer not null, stock integer not null check (stock >= 0));
create table orders(id integer primary key, at_s integer not null,
    customer integer not null references customers(id));
create index orders_by_customer on orders(customer, at_s);
create table lines(order_id integer not null references orders(id),
    line integer not null, units integer not null,
    product integer not null references products(id),
    primary key (order_id, line));
create table photos(name text primary key, bytes blob not null);
create table sessions(name text primary key, value text not null,
    expires_at_s integer not null);
create index sessions_by_end on sessions(expires_at_s);
";
// ANCHOR_END: schema

/// PostgreSQL's name for bytes.
pub const BYTEA: &str = "bytea";

/// A customer.
pub const ADD_CUSTOMER: &str = "insert into customers(id, name) values ($1, $2)";
/// A product.
pub const ADD_PRODUCT: &str =
    "insert into products(id, name, price_cents, stock) values ($1, $2, $3, $4)";
/// An order without its lines.
pub const ADD_ORDER: &str =
    "insert into orders(id, customer, at_s) values ($1, $2, $3)";
/// A line of one.
pub const ADD_LINE: &str =
    "insert into lines(order_id, line, product, units) values ($1, $2, $3, $4)";
/// A photo.
pub const ADD_PHOTO: &str = "insert into photos(name, bytes) values ($1, $2)";
/// A session.
pub const ADD_SESSION: &str =
    "insert into sessions(name, value, expires_at_s) values ($1, $2, $3)";

// ANCHOR: questions
/// Question 1.
pub const ORDER: &str = "
select orders.customer, products.name, lines.units from orders
join lines on lines.order_id = orders.id
join products on products.id = lines.product
where orders.id = $1 order by lines.line";

/// Question 2.
pub const ORDERS_OF: &str =
    "select id from orders where customer = $1 order by at_s desc";

/// Question 3.
pub const UNITS_SOLD: &str = "
select products.name, sum(lines.units) from lines
join products on products.id = lines.product group by products.name";

/// Question 4: the condition is looked at by the store, in the moment of the write.
pub const TAKE_ONE: &str =
    "update products set stock = stock - 1 where id = $1 and stock >= 1";

/// Question 5, the photo. SQL counts from 1.
pub const PHOTO_PART: &str =
    "select substr(bytes, $1, $2) from photos where name = 'lamp.jpg'";

/// Question 5, the session: the row stays; the question leaves it out.
pub const SESSION: &str = "select value from sessions
where name = 'ada' and expires_at_s > $1";
// ANCHOR_END: questions

/// How many there are.
pub const STOCK: &str = "select stock from products where id = $1";
/// The wrong way to sell.
pub const NONE_LEFT: &str = "update products set stock = 0 where id = $1";
/// How many sessions lie there.
pub const SESSIONS: &str = "select count(*) from sessions";
