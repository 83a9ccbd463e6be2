create table contracted (a integer unique nulls not distinct);
