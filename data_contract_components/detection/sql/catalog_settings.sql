-- A default is printed as the session's settings have it, and the check must not depend on who runs it.
set local search_path = public;
set local timezone = 'UTC';
set local datestyle = 'ISO, MDY';
set local intervalstyle = 'postgres';
set local extra_float_digits = 1;
set local bytea_output = 'hex';
set local standard_conforming_strings = on;
set local quote_all_identifiers = off;
set local jit = off;
