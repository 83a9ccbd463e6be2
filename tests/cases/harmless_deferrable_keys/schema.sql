create table target (id integer primary key);
create table contracted (id integer primary key deferrable initially deferred, number integer unique deferrable, a integer references target deferrable);
