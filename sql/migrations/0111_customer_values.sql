-- What runs of value models found: each customer's value and its parts, the scale they were measured on, the tiers; and where each customer stands now.
-- Rows of customers carry no foreign keys: they are written a million at a time, derived, and read only together with their customer.
set local role crm_owner;

create table crm.customer_value (
  run_id       uuid               not null,
  customer_id  uuid               not null,
  score        double precision   not null,
  rank         integer            not null,
  tier         text               not null,
  raw          double precision[] not null,
  normalised   double precision[] not null,
  contribution double precision[] not null,
  orders       bigint             not null,
  revenue      numeric(18,2)      not null,
  margin       numeric(18,2)      not null,
  cost         numeric(18,2)      not null,
  constraint customer_value_customer_id_primary primary key (run_id, customer_id),
  constraint customer_value_run_id_exists foreign key (run_id) references crm.analysis_run (id)
);
comment on table crm.customer_value is 'What a run found a customer to be worth, and why.';
comment on column crm.customer_value.run_id is 'The run.';
comment on column crm.customer_value.score is 'Value from 0 to 100: the sum of the contributions.';
comment on column crm.customer_value.rank is 'Place among all that were scored, from 1; ties by customer id.';
comment on column crm.customer_value.tier is 'The tier: a code of the pyramid''s bands.';
comment on column crm.customer_value.raw is 'What was measured, by the place of the key; null where nothing was.';
comment on column crm.customer_value.normalised is 'The same as 0 to 1, by the place of the key.';
comment on column crm.customer_value.contribution is 'Points of the score, by the place of the key.';
comment on column crm.customer_value.orders is 'Purchases in the model''s window.';
comment on column crm.customer_value.revenue is 'Revenue in the model''s window, in the run''s currency, returns that are booked on their own taken off.';
comment on column crm.customer_value.margin is 'Revenue less the known cost of the products sold.';
comment on column crm.customer_value.cost is 'Cost to serve in the model''s window.';

create table crm.value_run_key (
  run_id        uuid             not null,
  place         smallint         not null,
  metric        text             not null,
  coefficient   double precision not null,
  normalisation text             not null,
  direction     text             not null,
  cap           double precision,
  missing       text             not null,
  window_days   integer,
  level         smallint,
  measured      bigint           not null,
  minimum       double precision,
  maximum       double precision,
  mean          double precision,
  deviation     double precision,
  constraint value_run_key_place_primary primary key (run_id, place),
  constraint value_run_key_run_id_exists foreign key (run_id) references crm.analysis_run (id)
);
comment on table crm.value_run_key is 'The keys as a run used them, and the scale it measured each on.';
comment on column crm.value_run_key.run_id is 'The run.';
comment on column crm.value_run_key.place is 'The key''s place in the model; 0: the score.';
comment on column crm.value_run_key.metric is 'What is measured.';
comment on column crm.value_run_key.coefficient is 'How much it weighs.';
comment on column crm.value_run_key.normalisation is 'How values become 0 to 1.';
comment on column crm.value_run_key.direction is 'Whether higher or lower is better.';
comment on column crm.value_run_key.cap is 'Values beyond it count as it.';
comment on column crm.value_run_key.missing is 'What is made of customers without a value.';
comment on column crm.value_run_key.window_days is 'How many days of 24 hours back facts count; null for all.';
comment on column crm.value_run_key.level is 'For product_breadth: the level of the category tree.';
comment on column crm.value_run_key.measured is 'How many customers are on the scale.';
comment on column crm.value_run_key.minimum is 'The worst value on the scale: capped, with the sign turned where lower is better.';
comment on column crm.value_run_key.maximum is 'The best value on the scale.';
comment on column crm.value_run_key.mean is 'The mean on the scale.';
comment on column crm.value_run_key.deviation is 'The standard deviation of the scale (of a population).';

create table crm.value_scale (
  run_id   uuid               not null,
  place    smallint           not null,
  first    double precision   not null,
  points   double precision[] not null,
  below    bigint[]           not null,
  constraint value_scale_first_primary primary key (run_id, place, first),
  constraint value_scale_run_id_exists foreign key (run_id) references crm.analysis_run (id)
);
comment on table crm.value_scale is 'The values that a run found of a key, in pieces, so that a customer can be placed among them later.';
comment on column crm.value_scale.run_id is 'The run.';
comment on column crm.value_scale.place is 'The key''s place; 0: the score.';
comment on column crm.value_scale.first is 'The first value of the piece.';
comment on column crm.value_scale.points is 'The different values, ascending.';
comment on column crm.value_scale.below is 'How many customers are below each of them.';

create table crm.value_run_tier (
  run_id      uuid             not null,
  place       smallint         not null,
  tier        text             not null,
  customers   bigint           not null,
  revenue     numeric(20,2)    not null,
  margin      numeric(20,2)    not null,
  cost        numeric(20,2)    not null,
  min_score   double precision,
  max_score   double precision,
  last_score  double precision,
  last_id     uuid,
  constraint value_run_tier_tier_primary primary key (run_id, tier),
  constraint value_run_tier_run_id_exists foreign key (run_id) references crm.analysis_run (id)
);
comment on table crm.value_run_tier is 'The tiers as a run filled them, and the groups outside of the pyramid: inactive, prospect, suspect.';
comment on column crm.value_run_tier.run_id is 'The run.';
comment on column crm.value_run_tier.place is 'The tier''s place, from 1 at the top; the groups outside of the pyramid come after.';
comment on column crm.value_run_tier.tier is 'The tier: a code of the pyramid''s bands; or inactive, prospect, suspect.';
comment on column crm.value_run_tier.customers is 'How many customers are in it.';
comment on column crm.value_run_tier.revenue is 'Their revenue in the model''s window.';
comment on column crm.value_run_tier.margin is 'Their margin.';
comment on column crm.value_run_tier.cost is 'Their cost to serve.';
comment on column crm.value_run_tier.min_score is 'The lowest score in it.';
comment on column crm.value_run_tier.max_score is 'The highest score in it.';
comment on column crm.value_run_tier.last_score is 'The tier''s bound before hysteresis: the score of the last customer in it or above; null when there is none.';
comment on column crm.value_run_tier.last_id is 'The same customer''s id, which decides between equal scores; null for a bound that is a threshold.';

create table crm.customer_standing (
  customer_id uuid             not null,
  model_id    uuid             not null,
  run_id      uuid             not null,
  score       double precision,
  rank        integer,
  tier        text             not null,
  since       timestamptz      not null,
  as_of       timestamptz      not null,
  constraint customer_standing_model_id_primary primary key (customer_id, model_id),
  constraint customer_standing_model_id_exists foreign key (model_id) references crm.value_model (id) on delete cascade,
  constraint customer_standing_run_id_exists foreign key (run_id) references crm.analysis_run (id)
) with (fillfactor = 70);
comment on table crm.customer_standing is 'Where each customer stands in each value model now: as its last run found, and as crm.refresh_standing moved it since.';
comment on column crm.customer_standing.model_id is 'The value model.';
comment on column crm.customer_standing.run_id is 'The run whose scale the customer is measured on.';
comment on column crm.customer_standing.score is 'Value from 0 to 100; null when inactive.';
comment on column crm.customer_standing.rank is 'Place among those the run scored, from 1; after a refresh, one more than had a higher score in the run. Null when inactive.';
comment on column crm.customer_standing.tier is 'The tier: a code of the pyramid''s bands, or inactive.';
comment on column crm.customer_standing.since is 'Since when it has been in the tier.';
comment on column crm.customer_standing.as_of is 'The facts before this instant were counted.';
create index customer_standing_tier_index on crm.customer_standing (model_id, tier, customer_id);

create table crm.customer_tier_history (
  customer_id uuid        not null,
  model_id    uuid        not null,
  valid_from  timestamptz not null,
  valid_until timestamptz,
  tier        text        not null,
  score       double precision,
  run_id      uuid        not null,
  constraint customer_tier_history_valid_from_primary primary key (customer_id, model_id, valid_from),
  constraint customer_tier_history_model_id_exists foreign key (model_id) references crm.value_model (id) on delete cascade,
  constraint customer_tier_history_run_id_exists foreign key (run_id) references crm.analysis_run (id),
  constraint customer_tier_history_valid_until_ordered check (valid_until > valid_from)
);
comment on table crm.customer_tier_history is 'Which tier each customer was in when; a customer is in one tier of a model at a time.';
comment on column crm.customer_tier_history.model_id is 'The value model.';
comment on column crm.customer_tier_history.valid_from is 'The instant as of which it came into the tier.';
comment on column crm.customer_tier_history.valid_until is 'The instant as of which it left; null while it is there.';
comment on column crm.customer_tier_history.tier is 'The tier: a code of the pyramid''s bands, or inactive.';
comment on column crm.customer_tier_history.score is 'The score with which it came in.';
comment on column crm.customer_tier_history.run_id is 'The run whose scale it was measured on.';
comment on constraint customer_tier_history_valid_until_ordered on crm.customer_tier_history is 'en: A stay ends after it begins. | tr: Bir dönem başladıktan sonra biter.';
create index customer_tier_history_model_id_index on crm.customer_tier_history (model_id, valid_from);

create function crm.refresh_standing(customers uuid[], as_of timestamptz default null) returns integer language plpgsql as $$
begin
  return analytics.refresh_standing(customers, as_of);
end
$$;
comment on function crm.refresh_standing(uuid[], timestamptz) is
  'Scores customers again, as of now or another instant, on the scale of each active model''s last run, and moves them between tiers; answers how many standings there are of them. For system work.';

do $$
declare
  name text;
begin
  foreach name in array array['customer_value', 'value_run_key', 'value_scale', 'value_run_tier', 'customer_standing', 'customer_tier_history'] loop
    perform crm.protect(format('crm.%I', name)::regclass, area => 'analytics', kind => 'reference', verbs => '{select,insert,update,delete}', bi => true,
      reason => 'It is computed anew from facts that are in the change log.');
  end loop;
end
$$;
