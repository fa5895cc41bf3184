-- Campaigns: who was to be reached and who was held out, fixed before anything is sent; every touch; every response.
set local role crm_owner;

create table crm.campaign (
  id               uuid          not null default crm.uuid_v7(),
  code             text          not null,
  name             text          not null,
  kind             text          not null default 'mixed',
  status           text          not null default 'draft',
  starts_on        date          not null,
  ends_on          date          not null,
  budget           numeric(18,2),
  cost             numeric(18,2) not null default 0,
  currency         text          not null default 'TRY',
  assignment       text          not null default 'hash',
  holdout_percent  smallint      not null default 0,
  arms             text[]        not null default '{treated}',
  note             text,
  department_id    uuid          not null,
  owner_id         uuid,
  visibility       text          not null default 'company',
  audience         uuid          generated always as (
    case visibility when 'company' then '00000000-0000-0000-0000-000000000000'::uuid when 'private' then owner_id else department_id end) stored,
  created_at       timestamptz   not null default now(),
  updated_at       timestamptz   not null default now(),
  version          integer       not null default 1,
  created_by       uuid          default crm.caller_id(),
  constraint campaign_id_primary primary key (id),
  constraint campaign_code_unique unique (code),
  constraint campaign_code_length check (length(btrim(code)) between 1 and 64),
  constraint campaign_name_length check (length(btrim(name)) between 1 and 200),
  constraint campaign_kind_known check (kind in ('email', 'sms', 'phone', 'post', 'social', 'advertising', 'event', 'coupon', 'mixed')),
  constraint campaign_status_known check (status in ('draft', 'running', 'finished', 'cancelled')),
  constraint campaign_starts_on_finite check (isfinite(starts_on) and isfinite(ends_on)),
  constraint campaign_ends_on_ordered check (ends_on >= starts_on and ends_on - starts_on <= 3660),
  constraint campaign_budget_positive check (budget >= 0 and budget <> 'NaN'),
  constraint campaign_cost_positive check (cost >= 0 and cost <> 'NaN'),
  constraint campaign_currency_exists foreign key (currency) references crm.currency (code),
  constraint campaign_assignment_known check (assignment in ('hash', 'given', 'chosen')),
  constraint campaign_holdout_percent_range check (holdout_percent between 0 and 90 and (assignment = 'hash' or holdout_percent = 0)),
  constraint campaign_arms_shape check (cardinality(arms) between 1 and 10 and array_to_string(arms, ',', '?') ~ '^[a-z][a-z0-9_]{0,30}(,[a-z][a-z0-9_]{0,30})*$'),
  constraint campaign_department_id_exists foreign key (department_id) references crm.department (id),
  constraint campaign_owner_id_exists foreign key (owner_id) references crm.app_user (id),
  constraint campaign_visibility_known check (visibility in ('company', 'department', 'private')),
  constraint campaign_owner_id_private check (visibility <> 'private' or owner_id is not null)
);
comment on table crm.campaign is 'An effort to move customers to something, with its time, its money and the way its customers are divided.';
comment on column crm.campaign.code is 'Short stable name.';
comment on column crm.campaign.name is 'Name as people say it.';
comment on column crm.campaign.kind is 'How it mainly reaches people: email, sms, phone, post, social, advertising, event, coupon or mixed.';
comment on column crm.campaign.status is 'draft, running, finished or cancelled.';
comment on column crm.campaign.starts_on is 'Its first day.';
comment on column crm.campaign.ends_on is 'Its last day.';
comment on column crm.campaign.budget is 'What it may cost.';
comment on column crm.campaign.cost is 'What it costs beyond the cost of its touches.';
comment on column crm.campaign.currency is 'Currency of budget and cost.';
comment on column crm.campaign.assignment is 'How its customers are divided: hash (at random, by the hash of customer and campaign), given (at random, elsewhere: members bring their arm), chosen (not at random).';
comment on column crm.campaign.holdout_percent is 'How many in a hundred are held out at random, to compare with; never changed.';
comment on column crm.campaign.arms is 'What is tried against each other, each with the same share of those not held out; never changed.';
comment on column crm.campaign.note is 'What colleagues should know.';
comment on constraint campaign_code_unique on crm.campaign is 'en: Another campaign already has this code. | tr: Bu kod başka bir kampanyada kullanılıyor.';
comment on constraint campaign_code_length on crm.campaign is 'en: Give a code of at most 64 characters. | tr: En çok 64 karakterlik bir kod verin.';
comment on constraint campaign_name_length on crm.campaign is 'en: Give a name of at most 200 characters. | tr: En çok 200 karakterlik bir ad verin.';
comment on constraint campaign_kind_known on crm.campaign is 'en: A campaign is email, sms, phone, post, social, advertising, event, coupon or mixed. | tr: Kampanya email, sms, phone, post, social, advertising, event, coupon ya da mixed olabilir.';
comment on constraint campaign_status_known on crm.campaign is 'en: A campaign is draft, running, finished or cancelled. | tr: Kampanya draft, running, finished ya da cancelled olabilir.';
comment on constraint campaign_starts_on_finite on crm.campaign is 'en: Give real dates. | tr: Gerçek tarihler verin.';
comment on constraint campaign_ends_on_ordered on crm.campaign is 'en: A campaign ends on or after its first day, within ten years. | tr: Kampanya ilk gününde ya da sonra, on yıl içinde biter.';
comment on constraint campaign_budget_positive on crm.campaign is 'en: A budget is not negative. | tr: Bütçe eksi olamaz.';
comment on constraint campaign_cost_positive on crm.campaign is 'en: A cost is not negative. | tr: Maliyet eksi olamaz.';
comment on constraint campaign_assignment_known on crm.campaign is 'en: Customers are divided by hash, given or chosen. | tr: Müşteriler hash, given ya da chosen ile ayrılır.';
comment on constraint campaign_holdout_percent_range on crm.campaign is 'en: Hold out 0 to 90 in a hundred, and only when customers are divided by hash. | tr: Yüzde 0 ile 90 arası ayırın; yalnızca müşteriler hash ile ayrılıyorsa.';
comment on constraint campaign_arms_shape on crm.campaign is 'en: Give one to ten arms, each of small letters a–z, digits and underscores. | tr: Bir ile on arası kol verin; her biri a–z küçük harf, rakam ve alt çizgiden oluşsun.';
create index campaign_starts_on_index on crm.campaign (starts_on, id);
create index campaign_department_id_index on crm.campaign (department_id, id);
create index campaign_owner_id_index on crm.campaign (owner_id) where owner_id is not null;
select crm.protect('crm.campaign', area => 'marketing', kind => 'owned', resource => 'campaigns', bi => true);

create function crm.campaign_bucket(customer_id uuid, campaign_id uuid, purpose text default '') returns integer language sql immutable parallel safe
  return (('x' || substr(encode(sha256(convert_to(customer_id::text || ':' || campaign_id::text || purpose, 'UTF8')), 'hex'), 1, 15))::bit(60)::bigint % 100)::integer;
comment on function crm.campaign_bucket(uuid, uuid, text) is
  'A number from 0 to 99 that a customer has in a campaign, always the same: the first 60 bits of SHA-256 of "customer:campaign" and the purpose, modulo 100.';

create function crm.campaign_arm(customer_id uuid, campaign_id uuid, arms text[]) returns text language sql immutable parallel safe
  return arms[1 + (('x' || substr(encode(sha256(convert_to(customer_id::text || ':' || campaign_id::text || ':arm', 'UTF8')), 'hex'), 1, 15))::bit(60)::bigint % cardinality(arms))::integer];
comment on function crm.campaign_arm(uuid, uuid, text[]) is 'Which arm a customer is in who is not held out: the same hash with the purpose ":arm", modulo the number of arms.';

-- Members -------------------------------------------------------------------------------------------------------------------------

create table crm.campaign_member (
  customer_id      uuid        not null,
  id               uuid        not null default crm.uuid_v7(),
  campaign_id      uuid        not null,
  held_out         boolean     not null default false,
  arm              text,
  assigned_at      timestamptz not null default now(),
  assigned_in_time boolean     not null default true,
  department_id    uuid        not null,
  owner_id         uuid,
  audience         uuid,
  created_at       timestamptz not null default now(),
  updated_at       timestamptz not null default now(),
  version          integer     not null default 1,
  created_by       uuid        default crm.caller_id(),
  constraint campaign_member_id_primary primary key (customer_id, id),
  constraint campaign_member_customer_id_exists foreign key (customer_id) references crm.customer (id),
  constraint campaign_member_campaign_id_exists foreign key (campaign_id) references crm.campaign (id),
  constraint campaign_member_customer_id_once unique (campaign_id, customer_id),
  constraint campaign_member_arm_given check (held_out = (arm is null)),
  constraint campaign_member_assigned_at_finite check (isfinite(assigned_at)),
  constraint campaign_member_assigned_in_time check (assigned_in_time)
);
comment on table crm.campaign_member is 'A customer whom a campaign is to reach, or whom it leaves out to compare with. Assigned once, before anything is sent.';
comment on column crm.campaign_member.campaign_id is 'The campaign.';
comment on column crm.campaign_member.held_out is 'Whether the customer is left out, to compare with.';
comment on column crm.campaign_member.arm is 'What the customer gets; null for who is held out.';
comment on column crm.campaign_member.assigned_at is 'When it was decided.';
comment on column crm.campaign_member.assigned_in_time is 'derived: whether nobody of the campaign had been touched before; others are refused where the division is by hash.';
comment on constraint campaign_member_customer_id_once on crm.campaign_member is 'en: This customer is already in the campaign. | tr: Bu müşteri zaten kampanyada.';
comment on constraint campaign_member_arm_given on crm.campaign_member is 'en: A member who is not held out has an arm; one who is has none. | tr: Ayrılmayan üyenin kolu olur, ayrılanın olmaz.';
comment on constraint campaign_member_assigned_at_finite on crm.campaign_member is 'en: Give a real instant. | tr: Gerçek bir an verin.';
comment on constraint campaign_member_assigned_in_time on crm.campaign_member is 'en: Somebody of this campaign was touched already; nobody can be added at random any more. | tr: Bu kampanyada birine zaten ulaşıldı; artık rastgele kimse eklenemez.';
create index campaign_member_id_index on crm.campaign_member (id);

create table crm.campaign_touch (
  customer_id   uuid          not null,
  id            uuid          not null default crm.uuid_v7(),
  campaign_id   uuid          not null,
  channel       text          not null,
  touched_at    timestamptz   not null default now(),
  delivered     boolean       not null default true,
  opened_at     timestamptz,
  clicked_at    timestamptz,
  cost          numeric(18,4) not null default 0,
  currency      text          not null default 'TRY',
  held_out      boolean       not null default false,
  department_id uuid          not null,
  owner_id      uuid,
  audience      uuid,
  created_at    timestamptz   not null default now(),
  updated_at    timestamptz   not null default now(),
  version       integer       not null default 1,
  created_by    uuid          default crm.caller_id(),
  constraint campaign_touch_id_primary primary key (customer_id, id),
  constraint campaign_touch_customer_id_exists foreign key (customer_id) references crm.customer (id),
  constraint campaign_touch_campaign_id_exists foreign key (campaign_id) references crm.campaign (id),
  constraint campaign_touch_channel_known check (
    channel in ('email', 'sms', 'phone', 'whatsapp', 'post', 'web', 'social', 'search', 'display', 'store', 'visit', 'event', 'referral', 'other')),
  constraint campaign_touch_touched_at_finite check (isfinite(touched_at) and isfinite(opened_at) and isfinite(clicked_at)),
  constraint campaign_touch_opened_at_delivered check (delivered or (opened_at is null and clicked_at is null)),
  constraint campaign_touch_opened_at_later check (opened_at >= touched_at and clicked_at >= touched_at),
  constraint campaign_touch_cost_positive check (cost >= 0 and cost <> 'NaN'),
  constraint campaign_touch_currency_exists foreign key (currency) references crm.currency (code),
  constraint campaign_touch_held_out_untouched check (not held_out)
);
comment on table crm.campaign_touch is 'One time that a campaign reached for a customer: the ledger that attribution reads.';
comment on column crm.campaign_touch.campaign_id is 'The campaign.';
comment on column crm.campaign_touch.channel is 'By which way: email, sms, phone, whatsapp, post, web, social, search, display, store, visit, event, referral or other.';
comment on column crm.campaign_touch.touched_at is 'When.';
comment on column crm.campaign_touch.delivered is 'Whether it arrived.';
comment on column crm.campaign_touch.opened_at is 'When the customer first opened it, as far as that is known.';
comment on column crm.campaign_touch.clicked_at is 'When the customer first followed it.';
comment on column crm.campaign_touch.cost is 'What this touch cost.';
comment on column crm.campaign_touch.currency is 'Currency of the cost.';
comment on column crm.campaign_touch.held_out is 'derived: whether the customer is held out of the campaign; then the touch is refused.';
comment on constraint campaign_touch_channel_known on crm.campaign_touch is 'en: The channel is email, sms, phone, whatsapp, post, web, social, search, display, store, visit, event, referral or other. | tr: Kanal email, sms, phone, whatsapp, post, web, social, search, display, store, visit, event, referral ya da other olabilir.';
comment on constraint campaign_touch_touched_at_finite on crm.campaign_touch is 'en: Give real instants. | tr: Gerçek anlar verin.';
comment on constraint campaign_touch_opened_at_delivered on crm.campaign_touch is 'en: What did not arrive cannot have been opened. | tr: Ulaşmayan bir ileti açılmış olamaz.';
comment on constraint campaign_touch_opened_at_later on crm.campaign_touch is 'en: It is opened and followed after it was sent. | tr: İleti gönderildikten sonra açılır ve tıklanır.';
comment on constraint campaign_touch_cost_positive on crm.campaign_touch is 'en: A cost is not negative. | tr: Maliyet eksi olamaz.';
comment on constraint campaign_touch_held_out_untouched on crm.campaign_touch is 'en: This customer is held out of the campaign, to compare with, and must not be touched by it. | tr: Bu müşteri karşılaştırma için kampanyanın dışında tutuluyor; kampanya ona ulaşmamalı.';
create index campaign_touch_id_index on crm.campaign_touch (id);
create index campaign_touch_campaign_id_index on crm.campaign_touch (campaign_id, customer_id);
create index campaign_touch_touched_at_index on crm.campaign_touch (touched_at, id);

create table crm.campaign_response (
  customer_id   uuid        not null,
  id            uuid        not null default crm.uuid_v7(),
  campaign_id   uuid        not null,
  kind          text        not null default 'reply',
  responded_at  timestamptz not null default now(),
  reference     text,
  department_id uuid        not null,
  owner_id      uuid,
  audience      uuid,
  created_at    timestamptz not null default now(),
  updated_at    timestamptz not null default now(),
  version       integer     not null default 1,
  created_by    uuid        default crm.caller_id(),
  constraint campaign_response_id_primary primary key (customer_id, id),
  constraint campaign_response_customer_id_exists foreign key (customer_id) references crm.customer (id),
  constraint campaign_response_campaign_id_exists foreign key (campaign_id) references crm.campaign (id),
  constraint campaign_response_kind_known check (kind in ('reply', 'redemption', 'visit', 'signup', 'order', 'other')),
  constraint campaign_response_responded_at_finite check (isfinite(responded_at)),
  constraint campaign_response_reference_length check (length(reference) <= 200)
);
comment on table crm.campaign_response is 'Something a customer did that can be laid to a campaign: a reply, a coupon redeemed.';
comment on column crm.campaign_response.campaign_id is 'The campaign.';
comment on column crm.campaign_response.kind is 'reply, redemption, visit, signup, order or other.';
comment on column crm.campaign_response.responded_at is 'When.';
comment on column crm.campaign_response.reference is 'What it is known by, such as the number of a coupon or an order.';
comment on constraint campaign_response_kind_known on crm.campaign_response is 'en: A response is a reply, redemption, visit, signup, order or other. | tr: Yanıt reply, redemption, visit, signup, order ya da other olabilir.';
comment on constraint campaign_response_responded_at_finite on crm.campaign_response is 'en: Give a real instant. | tr: Gerçek bir an verin.';
comment on constraint campaign_response_reference_length on crm.campaign_response is 'en: A reference has at most 200 characters. | tr: Referans en çok 200 karakterdir.';
create index campaign_response_id_index on crm.campaign_response (id);
create index campaign_response_campaign_id_index on crm.campaign_response (campaign_id, customer_id, responded_at);

-- What belongs to a campaign is seen and changed by whoever sees and changes the campaign.

create function crm.follow_campaign() returns trigger language plpgsql as $$
declare
  campaign crm.campaign;
begin
  select * into campaign from crm.campaign as c where c.id = new.campaign_id;
  if not found then
    perform crm.missing_reference('campaign_id');
  end if;
  if not exists (select from crm.customer as c where c.id = new.customer_id) then
    perform crm.missing_reference('customer_id');
  end if;
  new.department_id := campaign.department_id;
  new.owner_id := campaign.owner_id;
  new.audience := campaign.audience;
  if tg_table_name = 'campaign_touch' then
    new.held_out := exists (
      select from crm.campaign_member as m where m.campaign_id = new.campaign_id and m.customer_id = new.customer_id and m.held_out);
  elsif tg_table_name = 'campaign_member' and tg_op = 'INSERT' then
    if campaign.assignment = 'hash' then
      new.held_out := crm.campaign_bucket(new.customer_id, new.campaign_id) < campaign.holdout_percent;
      new.arm := case when not new.held_out then crm.campaign_arm(new.customer_id, new.campaign_id, campaign.arms) end;
      new.assigned_at := now();
      new.assigned_in_time := not exists (select from crm.campaign_touch as t where t.campaign_id = new.campaign_id);
    else
      new.arm := case when not new.held_out then coalesce(new.arm, campaign.arms[1]) end;
      new.assigned_in_time := true;
      if new.arm <> all (campaign.arms) then
        perform crm.missing_reference('arm');
      end if;
    end if;
  end if;
  return new;
end
$$;
comment on function crm.follow_campaign() is
  'Trigger: gives what belongs to a campaign the campaign''s department, owner and audience; divides members by the hash; a campaign or customer the caller cannot see is a missing reference.';

create function crm.lead_campaign_parts() returns trigger language plpgsql as $$
begin
  update crm.campaign_member as x set department_id = new.department_id, owner_id = new.owner_id, audience = new.audience where x.campaign_id = new.id;
  update crm.campaign_touch as x set department_id = new.department_id, owner_id = new.owner_id, audience = new.audience where x.campaign_id = new.id;
  update crm.campaign_response as x set department_id = new.department_id, owner_id = new.owner_id, audience = new.audience where x.campaign_id = new.id;
  return null;
end
$$;
comment on function crm.lead_campaign_parts() is 'Trigger: when a campaign changes department, owner or visibility, what belongs to it follows.';

do $$
declare
  name text;
begin
  foreach name in array array['campaign_member', 'campaign_touch', 'campaign_response'] loop
    execute format('create trigger %I before insert on crm.%I for each row execute function crm.follow_campaign()', name || '_follow_insert', name);
    execute format('create trigger %I before update on crm.%I for each row when ((old.campaign_id, old.department_id, old.owner_id, old.audience)'
      || ' is distinct from (new.campaign_id, new.department_id, new.owner_id, new.audience)) execute function crm.follow_campaign()', name || '_follow_update', name);
  end loop;
end
$$;
create trigger campaign_lead after update on crm.campaign for each row
  when ((old.department_id, old.owner_id, old.audience) is distinct from (new.department_id, new.owner_id, new.audience)) execute function crm.lead_campaign_parts();
alter table crm.campaign enable always trigger campaign_lead;

insert into crm.merge_rule (relation, on_clash) values ('crm.campaign_member', 'drop');
select crm.protect('crm.campaign_member', area => 'marketing', kind => 'owned', resource => 'campaign_members', bi => true);
select crm.protect('crm.campaign_touch', area => 'marketing', kind => 'owned', resource => 'campaign_touches', bi => true);
select crm.protect('crm.campaign_response', area => 'marketing', kind => 'owned', resource => 'campaign_responses', verbs => '{select,insert,update,delete}', bi => true);
