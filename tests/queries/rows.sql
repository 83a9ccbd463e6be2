insert into artist values (1, 'Ada', 1840, 'France'), (2, 'Ben', 1950, null), (3, 'Cleo', 1970, 'Chile');
insert into artwork (artwork_id, artist_id, title, year, value, tags, info) values
    (11, 1, 'Bridge', 1881, 100.50, '{water,stone}', '{"medium": "oil"}'),
    (12, 2, 'Harbour', 1981, 90, '{water}', '{"medium": "ink"}'),
    (13, 3, 'Ridge', 2001, null, null, null);
insert into sale values (21, 11, '2020-01-01', 200, 'first'), (22, 12, '2021-01-01', 50.25, null);
insert into archive.letter values (31, 'dear');
insert into unread values (41, 'nothing');
refresh materialized view artwork_count;
alter table artwork alter column artwork_id restart with 1000;
