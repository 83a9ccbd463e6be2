create domain price as numeric(9, 2);
create domain moment as timestamp(0);
create domain grid as integer[][];
create table contracted (a price[], b moment[][], c grid[]);
