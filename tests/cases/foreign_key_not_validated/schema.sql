create table target (id integer primary key);
create table contracted (a integer);
insert into contracted values (1);
alter table contracted add constraint f foreign key (a) references target not valid;
