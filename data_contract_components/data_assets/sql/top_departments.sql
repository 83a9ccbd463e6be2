-- The five departments with the most objects.
select coalesce(department, '(none)'), count(*)
from object_gallery_info
group by 1
order by 2 desc, 1
limit 5
