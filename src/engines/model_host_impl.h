// The one implementation of ModelHost, declared here so that its parts can stand in several files:
//   model_host.cpp          the surface: requests, unload, shutdown
//   model_host_manager.cpp  who is let in, who is looked at next, who comes back
//   model_host_admit.cpp    how one model that is waited for is planned, given room and loaded
//   model_host_life.cpp     one worker, from its reservation to its release
//   model_host_watch.cpp    readings: growth past a reservation, the whole machine's memory
//   model_host_report.cpp   plans and lists for people
// Inside engines/ only.
//
// One manager coroutine decides; each worker's life is a coroutine of its own. Whatever happens (a
// request, a release, a crash, the end of a time) only sets `wake_`, and the manager looks at the
// whole state again.
#pragma once

#include <deque>
#include <map>
#include <set>

#include "engines/crash_window.h"
#include "engines/kv_keep.h"
#include "engines/planner.h"
#include "engines/resident.h"
#include "resources/guard.h"

namespace ingle::engines {

class ModelHostImpl final : public ModelHost {
 public:
  ModelHostImpl(ModelHostOptions options, ModelHostSeams seams);

  base::Task<base::Result<std::unique_ptr<Lease>>> acquire(std::string model,
                                                           AcquireOptions options) override;
  base::Task<base::Result<protocol::LoadPlan>> explain(std::string model,
                                                       std::vector<std::string> set) override;
  base::Task<base::Result<protocol::LoadPlan>> can_run(catalog::ModelRecord model) override;
  base::Task<base::Result<protocol::UnloadResult>> unload(
      std::optional<std::string> model) override;
  protocol::ResidentList residents() const override;
  base::Task<base::Result<protocol::SystemInfo>> describe_system() override;
  void preload(std::vector<std::string> models) override;
  base::Task<void> shut_down() override;

 private:
  using LeaseResult = base::Result<std::unique_ptr<Lease>>;

  // --- the manager (model_host_manager.cpp) ---
  void ensure_managed();
  base::Task<void> manage();
  void end_what_must();
  void grant();
  base::Task<bool> admit();
  enum class Step { again, next, stop };  // look at everything again; at the next intent; at none
  base::Task<Step> admit_one(IntentPtr intent, std::vector<ResidentPtr>& drained);
  std::optional<Step> replace(Intent& intent);
  Step refuse(const Intent& intent, base::Error error);
  base::Task<std::optional<Step>> make_plan(IntentPtr intent);
  Step act_on(Intent& intent, const resources::RoomQuestion& question,
              const resources::RoomAnswer& answer, std::vector<ResidentPtr>& drained);
  base::Task<bool> put_back();
  base::Task<void> wait_for_change();
  void refresh_intents();
  base::Status may_load(const Intent& intent);
  resources::RoomQuestion question_for(const LaunchPlan& plan, base::MonoTime waiting_since) const;
  void apply_drains(const std::vector<ResidentPtr>& drained);
  bool memory_still_returning(const resources::Footprint& footprint) const;
  bool memory_moves(const Intent& intent) const;
  void note_wait(Intent& intent, std::string reason, std::optional<base::MonoTime> ask_again);
  void ask_again_by(base::MonoTime time);

  // --- one worker (model_host_life.cpp) ---
  void begin_load(LaunchPlan plan, std::vector<std::string> set, std::string reason,
                  bool background);
  base::Task<void> live(ResidentPtr resident);
  base::Task<base::Status> start(ResidentPtr resident);
  base::Task<void> settle(ResidentPtr resident);
  base::Task<void> ask_props(ResidentPtr resident);
  base::Task<void> end(ResidentPtr resident);
  void failed_to_load(Resident& resident, const base::Error& error);
  void remember(const Resident& resident);
  void ask_end(Resident& resident, EndReason reason);
  void changed(Resident& resident);

  // --- readings (model_host_watch.cpp) ---
  base::Task<void> watch();
  base::Task<void> read_machine();
  base::Task<void> measure(ResidentPtr resident);
  void check_growth();
  void relieve_pressure();
  bool end_an_idle_one(const std::string& why);
  void end_by_force(Resident& resident, const std::string& why);

  // --- waiters (model_host.cpp) ---
  void finish(WaiterPtr waiter, LeaseResult result);
  void fail_waiters(const Intent& intent, const base::Error& error);
  void take_over(const Waiter& waiter, Resident& resident);
  void let_in(WaiterPtr waiter, ResidentPtr resident);
  void tell_waiters();
  LoadProgress progress_for(const Waiter& waiter) const;
  bool somebody_wants(const Resident& resident) const;
  ResidentPtr find_resident(std::string_view model) const;

  // --- plans (model_host_report.cpp) ---
  LaunchRoom room_for(const std::string& model, bool all_that_may_go) const;
  // The plan in the room that all that may go would leave; smaller when that spares the others.
  base::Task<base::Result<LaunchPlan>> plan_for(catalog::ModelRecord model,
                                                std::vector<std::string> set, bool with_files);
  base::Error with_pins(base::Error error) const;
  void use_measurement(LaunchPlan& plan) const;
  base::Task<base::Result<protocol::LoadPlan>> describe_plan(catalog::ModelRecord model,
                                                             std::vector<std::string> set,
                                                             bool with_files);
  std::vector<protocol::WaitingModel> describe_waiting() const;
  void publish_queue();

  void emit(const std::string& model, protocol::WorkerState state, double progress,
            const base::Error* error = nullptr);
  void decide(protocol::DecisionKind kind, const std::string& model, std::string reason,
              std::uint64_t bytes = 0);
  base::MonoTime now() const { return seams_.loop.clock().mono_now(); }
  int falls_of(const std::string& model, const std::vector<std::string>& set) const;

  const ModelHostOptions options_;
  const ModelHostSeams seams_;
  const base::Logger log_;
  Planner planner_;
  CrashWindow crashes_;
  resources::Ledger ledger_;
  resources::Guard guard_;
  protocol::PressureInfo pressure_;
  platform::MachineFacts facts_;
  std::optional<base::MonoTime> read_at_;   // when the ledger's readings were taken; none: stale
  std::optional<base::MonoTime> freed_at_;  // when a worker's memory was last given back

  std::vector<ResidentPtr> residents_;  // in the order of loading
  std::deque<WaiterPtr> queue_;         // in the order of asking
  std::vector<IntentPtr> intents_;      // in the order of their turn
  std::deque<PushedOut> pushed_out_;    // the first to return first
  struct Fall {
    int steps = 0;
    base::MonoTime at{};
    base::Error cause{};  // of the last load that failed
  };
  std::map<std::string, Fall, std::less<>> falls_;  // by intent: loads that ran out of memory
  base::MonoTime put_back_at_{};                    // no look at what may come back before
  std::optional<base::MonoTime> ask_again_;         // the manager's next look at the latest
  std::uint64_t requests_ = 0;
  std::string queue_told_;  // the last queue event, so that only changes are told
  bool managed_ = false;    // the manager runs: from the first request on
  bool closed_ = false;
  base::Gate wake_;
  base::Gate down_;
  base::Gate closing_;
  base::Gate watched_;  // woken when there is something to watch
  base::TaskScope scope_;
};

}  // namespace ingle::engines
