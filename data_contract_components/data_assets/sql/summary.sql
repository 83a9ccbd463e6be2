-- The objects, those in the public domain, and those with images.
select
    (select count(*) from object),
    (select count(*) from object_copyright where is_public_domain),
    (select count(*) from object_images where primary_image is not null or additional_images <> '{}')
