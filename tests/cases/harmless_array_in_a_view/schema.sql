create table base (words text[][]);
create view contracted as select * from base;
