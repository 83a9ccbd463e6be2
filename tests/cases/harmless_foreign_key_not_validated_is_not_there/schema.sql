create table target (id integer primary key);
create table contracted (a integer);
alter table contracted add constraint f foreign key (a) references target not valid;
