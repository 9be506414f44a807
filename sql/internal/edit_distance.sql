-- Levenshtein distance of the first 100 characters of two texts: enough for naming what was meant.
create or replace function maint.edit_distance(a text, b text)
returns int
language plpgsql
immutable
set search_path = pg_catalog, maint, pg_temp
as $function$
declare
  most constant int := 100;
  a_letters constant text[] := string_to_array(left(a, most), null);
  b_letters constant text[] := string_to_array(left(b, most), null);
  -- previous[j + 1] is the distance of what came before in a to the first j letters of b.
  previous int[] := array(select generate_series(0, cardinality(b_letters)));
  following int[];
begin
  for i in 1 .. cardinality(a_letters) loop
    following := array[i];
    for j in 1 .. cardinality(b_letters) loop
      following[j + 1] := least(following[j] + 1, previous[j + 1] + 1,
        previous[j] + case when a_letters[i] = b_letters[j] then 0 else 1 end);
    end loop;
    previous := following;
  end loop;
  return previous[cardinality(b_letters) + 1];
end
$function$;
comment on function maint.edit_distance(text, text) is 'Internal: Levenshtein distance, for naming what was meant.';
